// The AI's findings and the reader's own. Each present, uncertain or unmatched one is decided by itself.

import type { ComponentChildren } from "preact";
import { AiText } from "./AiText";
import { FindingRow, GLYPH } from "./FindingRow";
import type { CaseView, Decision, Finding, Ruling } from "./model";
import { fill, useVoice } from "./words";

interface Props {
  view: CaseView;
  chosen: string | null;
  editable: boolean;
  drawing: boolean;
  boxes: Record<string, unknown>;
  form(id: string): ComponentChildren; // where that finding is being changed
  onChoose(id: string): void;
  onDecide(finding: Finding, decision: Decision): void;
  onChange(finding: Finding): void;
  onBox(finding: Finding): void;
  onAdd(): void;
  onWithdraw(ruling: Ruling): void;
}

export function Findings(props: Props) {
  const { view, chosen, editable } = props;
  const { language, t } = useVoice();
  const run = view.run!;
  const must = view.findings.filter((each) => each.must_rule && each.kind === "finding");
  const sentences = view.findings.filter((each) => each.kind === "sentence");
  const denied = view.findings.filter((each) => !each.must_rule && each.kind === "finding");
  const asked = [...must, ...sentences];
  const done = asked.filter((each) => each.ruling).length;
  const row = (finding: Finding) => (
    <FindingRow
      key={finding.id}
      finding={finding}
      chosen={chosen === finding.id}
      editable={editable}
      drawing={props.drawing && chosen === finding.id}
      hasBox={finding.id in props.boxes}
      onChoose={() => props.onChoose(finding.id)}
      onDecide={(decision) => props.onDecide(finding, decision)}
      onChange={() => props.onChange(finding)}
      onBox={() => props.onBox(finding)}
    >
      {props.form(finding.id)}
    </FindingRow>
  );
  return (
    <section class="findings" aria-label={t.findings}>
      <div class="row">
        <h2>{t.ai}</h2>
        <span class="muted small">{run.model}</span>
      </div>
      {run.prompt && (
        <p class="answers muted small">
          {t.answers}: {run.prompt}
        </p>
      )}
      <AiText report={run.report} language={run.language} findings={view.findings} chosen={chosen} onChoose={props.onChoose} />
      <div class="row">
        <h3>{t.toDecide}</h3>
        {asked.length > 0 && <span class={done === asked.length ? "good" : "muted"}>{fill(t.decided, { n: done, of: asked.length })}</span>}
      </div>
      {must.length ? <ul>{must.map(row)}</ul> : <p class="muted">{view.findings.some((each) => each.kind === "finding") ? t.none : t.noFindings}</p>}
      {sentences.length > 0 && (
        <>
          <h3>{t.sentences}</h3>
          <ul>{sentences.map(row)}</ul>
        </>
      )}
      {denied.length > 0 && (
        <>
          <h3>{t.negatives}</h3>
          <ul>{denied.map(row)}</ul>
          <p class="muted small">{t.negativesHint}</p>
        </>
      )}
      <div class="row">
        <h3>{t.added}</h3>
        {editable && (
          <button type="button" onClick={props.onAdd}>
            {t.add} <kbd>D</kbd>
          </button>
        )}
      </div>
      {props.form("new")}
      {view.added.length > 0 && (
        <ul>
          {view.added.map((ruling) => (
            <li key={ruling.id} class={`finding add ${chosen === ruling.id ? "chosen" : ""}`}>
              <div class="line">
                <button type="button" class="phrase" aria-pressed={chosen === ruling.id} onClick={() => props.onChoose(ruling.id)}>
                  <span class={`glyph ${ruling.polarity}`} aria-hidden="true">
                    {GLYPH[ruling.polarity ?? "present"]}
                  </span>
                  <span class="text">{ruling.name?.[language] ?? ruling.code}</span>
                  {ruling.note && <small>{ruling.note}</small>}
                  {ruling.box && <span class="word">{t.yourBox}</span>}
                </button>
                {editable && (
                  <span class="acts">
                    <button type="button" class="act wide" title={`${t.box} (B)`} onClick={() => props.onChoose(`${ruling.id} box`)}>
                      {t.box}
                    </button>
                    <button type="button" class="act" aria-label={t.withdraw} title={t.withdraw} onClick={() => props.onWithdraw(ruling)}>
                      ✕
                    </button>
                  </span>
                )}
              </div>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
