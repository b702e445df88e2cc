import { Dialog } from "./Dialog";
import { useVoice } from "./words";

export function Keys({ onClose }: { onClose(): void }) {
  const { t } = useVoice();
  const groups: [string, [string, string][]][] = [
    [
      t.keysList,
      [
        ["J K", t.kMove],
        ["Enter", t.kOpen],
        ["/", t.kSearch],
        ["U", t.kUpload],
      ],
    ],
    [
      t.keysCase,
      [
        ["A", t.kShowAi],
        ["J K", t.kMove],
        ["Y", t.kAccept],
        ["N", t.kReject],
        ["E", t.kChange],
        ["D", t.kAdd],
        ["B", t.kBox],
        ["X", t.kSide],
        ["W", t.kNext],
        ["Q", t.kBack],
      ],
    ],
    [
      t.keysText,
      [
        ["T", t.kSuggest],
        ["F", t.kEdit],
        ["S", t.kSign],
      ],
    ],
    [
      t.keysFilm,
      [
        ["V", t.kHold],
        ["O", t.kOverlay],
        ["C", t.kColour],
        ["G", t.kGrid],
        ["I", t.kInvert],
        ["+ − 0", t.kZoom],
        ["1 2", t.kTool],
        ["M U", t.kRuler],
        ["\\ P", t.kCompare],
        [", .", t.kFrame],
      ],
    ],
  ];
  return (
    <Dialog title={t.keysTitle} wide onClose={onClose}>
      <p class="shortest">{t.keysShortest}</p>
      <div class="keys">
        {groups.map(([title, rows]) => (
          <section key={title}>
            <h3>{title}</h3>
            <dl>
              {rows.map(([keys, means]) => (
                <div key={keys}>
                  <dt>
                    {keys.split(" ").map((key) => (
                      <kbd key={key}>{key}</kbd>
                    ))}
                  </dt>
                  <dd>{means}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <p class="muted small">
        {t.mouse} <kbd>L</kbd> {t.kLanguage} · <kbd>?</kbd> {t.kHelp}
      </p>
    </Dialog>
  );
}
