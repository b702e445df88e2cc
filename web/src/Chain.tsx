// The decision chain and the contrasts: pointing at a step or stopping on it lights its words and shows its map.

import type { Contrast, Grade, Language, Step, ViewerData } from "./data";
import { STAGE, STRENGTH, type Strings } from "./strings";

// What is pointed at: a step's or a contrast's words and finding, and the method where a link names one.
export interface Pointer {
  key: string;
  words: number[];
  finding: string;
  method: string;
}

interface Props {
  data: ViewerData;
  t: Strings;
  language: Language;
  chosen: string | null;
  onPoint(pointer: Pointer | null): void;
  onChoose(pointer: Pointer): void;
}

const stepPointer = (step: Step, index: number): Pointer => ({
  key: `step-${index}`,
  words: step.words,
  finding: step.finding,
  method: "",
});
const contrastPointer = (contrast: Contrast, index: number): Pointer => ({
  key: `contrast-${index}`,
  words: contrast.words,
  finding: contrast.finding,
  method: "",
});

export function Chain({ data, t, language, chosen, onPoint, onChoose }: Props) {
  const handlers = (pointer: Pointer) => ({
    onPointerEnter: (event: PointerEvent) => event.pointerType === "mouse" && onPoint(pointer),
    onPointerLeave: (event: PointerEvent) => event.pointerType === "mouse" && onPoint(null),
    onFocus: () => onPoint(pointer),
    onBlur: () => onPoint(null),
    onClick: () => onChoose(pointer),
  });
  const active = (pointer: Pointer) => pointer.finding !== "" && pointer.finding === chosen;
  return (
    <section class="chain" aria-label={t.chainHelp} onKeyDown={walk}>
      <h2>{t.chain}</h2>
      <p class="muted">{t.chainNote}</p>
      <ol>
        {data.chain.map((step, index) => {
          const pointer = stepPointer(step, index);
          return (
            <li key={index} class={`step s-${step.stage}`}>
              <button type="button" class="link" data-step={index} aria-pressed={active(pointer)} {...handlers(pointer)}>
                <span class="row">
                  <span class="stage">{STAGE[language][step.stage]}</span>
                  {step.stage !== "question" && <Strength grade={step.strength} language={language} />}
                </span>
                <span class="said">{step.text[language]}</span>
              </button>
              {step.links.length > 0 && (
                <ul>
                  {step.links.map((link, each) => (
                    <li key={each} class={`l-${link.strength.replaceAll(" ", "-")}`}>
                      {link.method ? (
                        <button
                          type="button"
                          class="link"
                          data-link={`${index}-${each}`}
                          {...handlers({ ...pointer, key: `link-${index}-${each}`, method: link.method })}
                        >
                          {link.text[language]}
                        </button>
                      ) : (
                        link.text[language]
                      )}
                    </li>
                  ))}
                </ul>
              )}
            </li>
          );
        })}
      </ol>
      {data.contrasts.length > 0 && (
        <>
          <h2>{t.contrasts}</h2>
          <p class="muted">{t.contrastsNote}</p>
          <ul class="contrasts">
            {data.contrasts.map((contrast, index) => {
              const pointer = contrastPointer(contrast, index);
              return (
                <li key={index}>
                  <button type="button" class="link" data-contrast={index} {...handlers(pointer)}>
                    <span class="row">
                      <span class="ask">{contrast.ask[language]}</span>
                      <Strength grade={contrast.strength} language={language} />
                    </span>
                    <span class="said">{contrast.answer[language]}</span>
                  </button>
                </li>
              );
            })}
          </ul>
        </>
      )}
    </section>
  );
}

function Strength({ grade, language }: { grade: Grade; language: Language }) {
  return <span class={`grade g-${grade.replaceAll(" ", "-")}`}>{STRENGTH[language][grade]}</span>;
}

// Up and down between the buttons of the panel; the page's own arrows stay with the words.
function walk(event: KeyboardEvent & { currentTarget: HTMLElement }) {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const all = [...event.currentTarget.querySelectorAll<HTMLElement>("button")];
  const at = all.indexOf(event.target as HTMLElement);
  if (at < 0) return;
  all[Math.min(all.length - 1, Math.max(0, at + (event.key === "ArrowDown" ? 1 : -1)))]!.focus();
  event.preventDefault();
  event.stopPropagation();
}
