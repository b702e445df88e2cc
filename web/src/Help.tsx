// The keys, in a dialog.

import { useEffect, useRef } from "preact/hooks";
import type { Strings } from "./strings";

export function Help({ t, open, onClose }: { t: Strings; open: boolean; onClose(): void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current!;
    if (open && !element.open) element.showModal();
    if (!open && element.open) element.close();
  }, [open]);
  const keys: [string, string][] = [
    ["←↑→↓", t.keyWords],
    ["Enter", t.keyPin],
    ["J K", t.keyFindings],
    ["D", t.keyChain],
    ["V", t.keyHold],
    ["O", t.keyOverlay],
    ["C", t.keyColour],
    ["M", t.keyMethod],
    ["[ ]", t.keyLayer],
    ["G", t.keyGrid],
    ["I", t.keyInvert],
    ["+ − 0 R", t.keyZoom],
    [", .", t.keyFrame],
    ["Enter ←↑→↓", t.keyPlace],
    ["L", t.keyLanguage],
    ["T", t.keyTheme],
    ["Esc", t.keyEscape],
    ["H ?", t.keyHelp],
  ];
  return (
    <dialog
      ref={dialog}
      class="help"
      aria-label={t.help}
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && onClose()}
    >
      <header>
        <h2>{t.help}</h2>
        <button type="button" class="plain" onClick={onClose}>
          {t.close}
        </button>
      </header>
      <dl>
        {keys.map(([key, what]) => (
          <div key={key + what}>
            <dt>
              {key.split(" ").map((cap) => (
                <kbd key={cap}>{cap}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <p class="muted">{t.mouse}</p>
    </dialog>
  );
}
