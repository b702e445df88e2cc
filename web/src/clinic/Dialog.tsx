// A modal dialog: the browser's own, so that focus stays inside and Esc closes it.

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { useVoice } from "./words";

interface Props {
  title: string;
  wide?: boolean;
  forced?: boolean; // cannot be closed
  onClose(): void;
  children: ComponentChildren;
}

export function Dialog({ title, wide, forced, onClose, children }: Props) {
  const { t } = useVoice();
  const host = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    const dialog = host.current!;
    if (!dialog.open) dialog.showModal();
    return () => dialog.close();
  }, []);
  return (
    <dialog
      ref={host}
      class={wide ? "wide" : ""}
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        if (!forced) onClose();
      }}
      onKeyDown={(event) => event.stopPropagation()}
    >
      <div class="dialog-head">
        <h2>{title}</h2>
        {!forced && (
          <button type="button" class="plain" onClick={onClose} aria-label={t.close}>
            ✕
          </button>
        )}
      </div>
      {children}
    </dialog>
  );
}
