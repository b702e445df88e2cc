// The reverse view: a place on the film, and the words that attended there.

import type { Hit, Language, ViewerData } from "./data";
import { number } from "./MapBar";
import { unitName, type Strings } from "./strings";

interface Props {
  data: ViewerData;
  t: Strings;
  language: Language;
  hits: Hit[];
  onPin(index: number): void;
  onClose(): void;
}

export function Place({ data, t, language, hits, onPin, onClose }: Props) {
  const top = hits[0]?.value ?? 1;
  const none = data.wordMaps ? t.placeNone : t.outsideWords;
  return (
    <div class="place">
      <div class="row">
        <h2>{t.placeTitle}</h2>
        <button type="button" class="plain" onClick={onClose}>
          {t.clear} <kbd>Esc</kbd>
        </button>
      </div>
      {hits.length ? (
        <ol>
          {hits.map((hit) => {
            const word = data.words[hit.word]!;
            return (
              <li key={hit.word}>
                <button type="button" data-hit={hit.word} onClick={() => onPin(hit.word)}>
                  <span class="hit-word">
                    {word.text.trim()}
                    {word.part === "thinking" && <small> {t.thinking}</small>}
                  </span>
                  <span class="bar">
                    <i style={{ width: `${(100 * hit.value) / top}%` }} />
                  </span>
                  <span class="value">{number(hit.value)}</span>
                </button>
              </li>
            );
          })}
        </ol>
      ) : (
        <p class="empty">{none}</p>
      )}
      <p class="muted small">
        {t.placeLast} ({unitName(data.wordMaps?.units ?? "", language)})
      </p>
    </div>
  );
}
