// One finding, one line: polarity, phrase, hedge, how many samples, one evidence word (what the samples lack, or else
// how the map was graded), decision; details where chosen.

import type { ComponentChildren } from "preact";
import type { Decision, Finding } from "./model";
import { percent, term, useVoice } from "./words";

interface Props {
  finding: Finding;
  chosen: boolean;
  editable: boolean;
  drawing: boolean;
  hasBox: boolean;
  onChoose(): void;
  onDecide(decision: Decision): void;
  onChange(): void;
  onBox(): void;
  children?: ComponentChildren; // the form, where it is being changed
}

const LEAST = 0.005; // of an alternative that is worth a word

export const GLYPH: Record<string, string> = { present: "●", uncertain: "◐", absent: "○" };

export function blocked(finding: Finding): boolean {
  return finding.not_knowable.length > 0 || finding.contradicted;
}

export function FindingRow(props: Props) {
  const { finding, chosen, editable } = props;
  const { language, t } = useVoice();
  const { ruling } = finding;
  const polarity = finding.polarity ?? "present";
  const weak = finding.quadrant && finding.quadrant.key !== "grounded";
  const decided = ruling?.decision;
  return (
    <li class={`finding ${chosen ? "chosen" : ""} ${decided ?? ""}`} data-finding={finding.id}>
      <div class="line">
        <button type="button" class="phrase" aria-pressed={chosen} onClick={props.onChoose}>
          {finding.kind === "finding" && (
            <span class={`glyph ${polarity}`} title={term(polarity, t)}>
              <span aria-hidden="true">{GLYPH[polarity]}</span>
              <span class="visually-hidden">{term(polarity, t)}</span>
            </span>
          )}
          <span class="text">
            {finding.kind === "finding" ? finding.phrase[language] : `“${finding.words}”`}
            {finding.hedge[language] && <em> · {finding.hedge[language]}</em>}
          </span>
          {finding.critical && <span class="flag red">{t.critical}</span>}
          {finding.count && (
            <span class="count" title={t.samples}>
              {finding.count.n}/{finding.count.of}
            </span>
          )}
          {finding.quadrant && (weak || !finding.grade) && <span class={`word ${weak ? "weak" : ""}`}>{finding.quadrant[language]}</span>}
          {finding.grade && !weak && <span class={`word grade ${finding.grade.key.replace(" ", "-")}`}>{finding.grade[language]}</span>}
        </button>
        {decided && !editable && <span class={`decision ${decided}`}>{t[decided as "accept"]}</span>}
        {editable && (
          <span class="acts">
            {finding.kind === "finding" ? (
              <>
                <Act name={t.accept} key_="Y" glyph="✓" on={decided === "accept"} off={blocked(finding)} why={t.acceptBlocked} act={() => props.onDecide("accept")} />
                <Act name={t.change} key_="E" glyph="✎" on={decided === "change"} act={props.onChange} />
                <Act name={t.reject} key_="N" glyph="✕" on={decided === "reject"} act={() => props.onDecide("reject")} />
              </>
            ) : (
              <>
                <Act name={t.keep} key_="Y" glyph="✓" on={decided === "keep"} act={() => props.onDecide("keep")} />
                <Act name={t.drop} key_="N" glyph="✕" on={decided === "drop"} act={() => props.onDecide("drop")} />
              </>
            )}
          </span>
        )}
      </div>
      {chosen && <Details {...props} />}
      {props.children}
    </li>
  );
}

interface ActProps {
  name: string;
  key_: string;
  glyph: string;
  on: boolean;
  off?: boolean;
  why?: string;
  act(): void;
}

function Act({ name, key_, glyph, on, off, why, act }: ActProps) {
  return (
    <button type="button" class="act" aria-label={name} aria-pressed={on} disabled={off} title={off ? why : `${name} (${key_})`} onClick={act}>
      {glyph}
    </button>
  );
}

function Details({ finding, editable, drawing, hasBox, onBox }: Props) {
  const { language, t } = useVoice();
  const { ruling } = finding;
  const others = finding.alternatives.filter((each) => each.probability >= LEAST).slice(1, 5);
  return (
    <div class="details">
      {finding.contradicted && <p class="caution">{t.contradicted}</p>}
      {finding.not_knowable.map((notice) => (
        <p key={notice.code} class="caution">
          {notice[language]}
        </p>
      ))}
      {finding.evidence[language] && finding.polarity !== "absent" && <p>{finding.evidence[language]}</p>}
      <p class="figures">
        {finding.quadrant && (
          <span>
            <span class="muted">{t.quadrant}:</span> {finding.quadrant[language]}
          </span>
        )}
        {finding.grade && (
          <span>
            <span class="muted">{t.grade}:</span> {finding.grade[language]}
          </span>
        )}
        {finding.interval && (
          <span>
            {t.interval} {percent(finding.interval[0])}–{percent(finding.interval[1])}
          </span>
        )}
        {finding.calibrated && finding.probability !== null ? (
          <span>
            {t.calibrated}: {percent(finding.probability)}
          </span>
        ) : (
          finding.count && <span class="muted">{t.uncalibrated}</span>
        )}
      </p>
      {others.length > 0 && (
        <p>
          <span class="muted">{t.alternatives}:</span>{" "}
          {others.map((each) => (
            <span key={each.text} class="alternative">
              {each.text.trim() || "␣"} {percent(each.probability)}
            </span>
          ))}
        </p>
      )}
      {ruling && (
        <p class="ruled">
          {t[ruling.decision]} · {ruling.author}
          {ruling.name && ruling.decision !== "accept" ? ` · ${ruling.name[language]}` : ""}
          {ruling.note ? ` · ${ruling.note}` : ""}
          {ruling.box ? ` · ${t.yourBox}` : ""}
        </p>
      )}
      {editable && finding.kind === "finding" && finding.polarity !== "absent" && (
        <p>
          <button type="button" aria-pressed={drawing} onClick={onBox}>
            {t.box} <kbd>B</kbd>
          </button>
          {hasBox && !ruling && <span class="muted"> {t.boxPending}</span>}
        </p>
      )}
    </div>
  );
}
