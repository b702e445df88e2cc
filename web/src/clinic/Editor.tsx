// The report in its two parts, with what is going on with its saving.

import { useState } from "preact/hooks";
import type { DraftText } from "./draft_text";
import type { TwoParts } from "./model";
import { fill, useVoice } from "./words";

interface Props {
  text: DraftText;
  editable: boolean;
  edition: number | null; // of a signed text
  lang: string;
  offered: TwoParts | null; // a suggestion that waits for an answer
  onSuggest(): void;
  onOffer(how: "replace" | "append" | "drop"): void;
  onSign(): void;
}

export function Editor(props: Props) {
  const { text, editable, offered } = props;
  const { t } = useVoice();
  const [copied, setCopied] = useState(false);
  const status = {
    saved: t.saved,
    unsaved: t.unsaved,
    saving: t.saving,
    failed: t.notSaved,
    conflict: t.conflict,
  }[text.status];
  const copy = async () => {
    const { findings, impression } = text.parts;
    await navigator.clipboard?.writeText(`${t.findingsPart}\n${findings}\n\n${t.impressionPart}\n${impression}\n`);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  const leave = (event: KeyboardEvent) => {
    if (event.key === "Escape") (event.currentTarget as HTMLElement).blur();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) props.onSign();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const part = (name: "findings" | "impression", label: string, rows: number) => (
    <label>
      <span class="part">{label}</span>
      <textarea
        name={name}
        rows={rows}
        lang={props.lang === "zh" ? "zh-CN" : "en"}
        maxLength={20_000}
        readOnly={!editable}
        spellcheck={false}
        value={text.parts[name]}
        onInput={(event) => text.edit({ [name]: event.currentTarget.value })}
        onBlur={() => void text.flush()}
        onKeyDown={leave}
      />
    </label>
  );
  return (
    <section class="editor" aria-label={t.report}>
      <div class="row">
        <h2>{props.edition === null ? t.report : fill(t.signedText, { n: props.edition })}</h2>
        <span class={`save-state ${text.status}`} role="status">
          {editable ? status : t.readOnly}
        </span>
      </div>
      {text.status === "conflict" && (
        <div class="clash" role="alert">
          <p>{t.conflict}</p>
          {text.theirs && (
            <blockquote>
              <small>{fill(t.conflictTheirs, { who: text.theirs.author })}</small>
              <p>{text.theirs.findings}</p>
              <p>{text.theirs.impression}</p>
            </blockquote>
          )}
          <div class="actions">
            <button type="button" onClick={text.takeTheirs}>
              {t.takeTheirs}
            </button>
            <button type="button" class="primary" onClick={text.keepMine}>
              {t.keepMine}
            </button>
          </div>
        </div>
      )}
      {part("findings", t.findingsPart, 5)}
      {part("impression", t.impressionPart, 3)}
      {offered && (
        <div class="offer" role="alert">
          <p>{t.replaceText}</p>
          <blockquote>
            <p>{offered.findings}</p>
            <p>{offered.impression}</p>
          </blockquote>
          <div class="actions">
            <button type="button" class="plain" onClick={() => props.onOffer("drop")}>
              {t.cancel}
            </button>
            <button type="button" onClick={() => props.onOffer("append")}>
              {t.append}
            </button>
            <button type="button" class="primary" onClick={() => props.onOffer("replace")}>
              {t.replace}
            </button>
          </div>
        </div>
      )}
      <div class="actions left">
        {editable && (
          <button type="button" title={t.suggestHint} onClick={props.onSuggest}>
            {t.suggest} <kbd>T</kbd>
          </button>
        )}
        <button type="button" class="plain" onClick={() => void copy()}>
          {copied ? t.copied : t.copy}
        </button>
      </div>
    </section>
  );
}
