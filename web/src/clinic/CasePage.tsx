// A case: the film first and bare; the AI after one key; then decisions, text and signature.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Claim } from "../data";
import { typing } from "./App";
import { get, message } from "./api";
import { Banner } from "./Banner";
import { Criticals } from "./Criticals";
import { useDraftText } from "./draft_text";
import { Editor } from "./Editor";
import { blocked } from "./FindingRow";
import { Findings } from "./Findings";
import type { BoxOn, CaseRow, Decision, Finding, Page, Ruling, Session, TwoParts, VocabularyCode } from "./model";
import { ReasonDialog } from "./ReasonDialog";
import { Exports, History } from "./Records";
import { useReview } from "./review";
import { RulingForm, type Statement } from "./RulingForm";
import { SignDialog } from "./SignDialog";
import { Technical } from "./Technical";
import { Viewer } from "./Viewer";
import { Waiting } from "./Waiting";
import { fill, stateName, useVoice } from "./words";
import { usePageKeys } from "../pagekeys";

type Tab = "report" | "technical" | "history" | "export";
type Ask = "return" | "reject" | "amend";

const NEW: Statement = { code: null, polarity: "present", side: null, zone: null, severity: null, certainty: "definite", size_mm: [], note: null };
const passwordAt = { current: 0 }; // of this page's life; the server keeps its own clock

export function CasePage({ id, session }: { id: string; session: Session }) {
  const { language, t } = useVoice();
  const review = useReview(id, session);
  const { view, editable } = review;
  const text = useDraftText(review);
  const [tab, setTab] = useState<Tab>("report");
  const [chosen, setChosen] = useState<string | null>(null);
  const [form, setForm] = useState<string | null>(null); // a finding's id, or "new"
  const [drawing, setDrawing] = useState(false);
  const [boxes, setBoxes] = useState<Record<string, BoxOn>>({}); // drawn, not yet kept by a decision
  const [technical, setTechnical] = useState<{ key: string; claim: Claim } | null>(null);
  const [codes, setCodes] = useState<VocabularyCode[]>([]);
  const [offered, setOffered] = useState<TwoParts | null>(null);
  const [signing, setSigning] = useState(false);
  const [asking, setAsking] = useState<Ask | null>(null);
  const [fault, setFault] = useState<unknown>(null);
  const reader = session.user.role === "radiologist";

  useEffect(() => {
    const given = session.reauth_at ? new Date(session.reauth_at).getTime() : 0;
    passwordAt.current = Math.max(passwordAt.current, given);
    get<{ items: VocabularyCode[] }>("/vocabulary").then((page) => setCodes(page.items), () => undefined);
  }, []);
  const shown = view?.findings ?? [];
  const order = useMemo(
    () => [
      ...shown.filter((each) => each.must_rule && each.kind === "finding"),
      ...shown.filter((each) => each.kind === "sentence"),
      ...shown.filter((each) => !each.must_rule && each.kind === "finding"),
    ],
    [shown],
  );
  // Once the draft is there, the first finding that waits is chosen.
  const started = useRef(false);
  useEffect(() => {
    if (!view?.run || started.current) return;
    started.current = true;
    setChosen(order.find((each) => each.must_rule && !each.ruling)?.id ?? null);
  }, [view?.run]);
  const finding = shown.find((each) => each.id === chosen) ?? null;
  const added = view?.added.find((each) => each.id === chosen) ?? null;

  const run = (work: Promise<unknown>) => {
    setFault(null);
    return work.catch((error: unknown) => setFault(error));
  };
  const choose = (next: string) => {
    const [name, box] = next.split(" ");
    setChosen(chosen === name && !box ? null : name!);
    setTechnical(null);
    setDrawing(Boolean(box));
  };
  const onward = (from: string, findings: Finding[]) => {
    const open = order.map((each) => findings.find((one) => one.id === each.id)).filter((each) => each?.must_rule && !each.ruling);
    setChosen(open[0]?.id ?? from);
  };
  const rule = (target: Finding, decision: Decision, statement?: Statement) => {
    const box = boxes[target.id] ?? target.ruling?.box ?? null;
    const said = statement ? { ...statement } : {};
    setForm(null);
    setDrawing(false);
    const keepsBox = box && decision !== "reject" && decision !== "drop" && decision !== "keep";
    return run(
      review.act("PUT", `/findings/${target.id}/ruling`, { decision, ...said, ...(keepsBox ? { box } : {}) }).then((next) => {
        setBoxes(({ [target.id]: _, ...rest }) => rest);
        onward(target.id, next.findings);
      }),
    );
  };
  const decide = (target: Finding, decision: Decision) => {
    if (!editable || (decision === "accept" && blocked(target))) return;
    void rule(target, decision);
  };
  // A box on a decided finding goes at once, with the decision as it stands; otherwise with the decision to come.
  const onBox = (box: BoxOn | null, done: boolean) => {
    if (!box || !chosen) return;
    setBoxes((now) => ({ ...now, [chosen]: box }));
    if (done) keepBox(box);
  };
  const keepBox = (box: BoxOn | undefined = chosen ? boxes[chosen] : undefined) => {
    if (!box) return;
    if (finding?.ruling && (finding.ruling.decision === "accept" || finding.ruling.decision === "change")) {
      const { decision } = finding.ruling;
      const said = decision === "change" ? statementOf(finding.ruling) : {};
      void run(review.act("PUT", `/findings/${finding.id}/ruling`, { decision, ...said, box }));
    } else if (added) {
      void run(
        review.act("POST", "/findings", { decision: "add", ...statementOf(added), box, replaces: added.id }).then((next) => {
          const newest = next.added.find((each) => !view?.added.some((before) => before.id === each.id));
          if (newest) setChosen(newest.id);
        }),
      );
    }
  };
  const withdraw = (ruling: Ruling) => void run(review.act("POST", "/findings", { decision: "reject", replaces: ruling.id }));
  const submitForm = (statement: Statement) => {
    if (form === "new") {
      setForm(null);
      return void run(
        review.act("POST", "/findings", { decision: "add", ...statement }).then((next) => {
          const newest = next.added.find((each) => !view?.added.some((before) => before.id === each.id));
          if (newest) setChosen(newest.id);
        }),
      );
    }
    if (finding) void rule(finding, "change", statement);
  };

  const reveal = () => {
    if (!view || view.revealed || !reader) return;
    if (view.reader_first && !view.texts.own_impression) {
      document.querySelector<HTMLTextAreaElement>("textarea[name=own]")?.focus();
      return;
    }
    void run(review.act("POST", "/reveal", undefined, false));
  };
  const ownFirst = (own: string) =>
    run(review.act("PUT", "/own-impression", { text: own }).then(() => review.act("POST", "/reveal", undefined, false)));

  const suggest = () => {
    if (!editable) return;
    void run(
      text
        .flush()
        .then(() => get<TwoParts>(`/cases/${id}/suggestion`))
        .then((parts) => {
          const { findings, impression } = parts;
          const empty = !text.parts.findings.trim() && !text.parts.impression.trim();
          if (empty) text.edit({ findings, impression });
          else if (findings !== text.parts.findings || impression !== text.parts.impression) setOffered({ findings, impression });
        }),
    );
  };
  const takeOffer = (how: "replace" | "append" | "drop") => {
    if (offered && how === "replace") text.edit(offered);
    if (offered && how === "append") {
      const join = (one: string, other: string) => [one.trim(), other].filter(Boolean).join("\n");
      text.edit({ findings: join(text.parts.findings, offered.findings), impression: join(text.parts.impression, offered.impression) });
    }
    setOffered(null);
  };
  const maySign = reader && review.mine && (editable || view?.state === "reported");
  const sign = () => {
    if (!maySign) return;
    // What is typed is saved before it is shown for signing; the case is read again for what stands against it.
    void run(text.flush().then(() => review.reload()).then(() => setSigning(true)));
  };
  const next = async () => {
    const page = await get<Page<CaseRow>>("/cases?sort=urgency&limit=50");
    const free = page.items.find((row) => row.id !== id && row.state !== "queued" && (!row.claimed_by || row.claimed_by === session.user.name));
    location.hash = free ? `#/case/${free.id}` : "#/";
  };

  usePageKeys((event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || signing || asking) return;
    const at = order.findIndex((each) => each.id === chosen);
    const acts: Record<string, () => void> = {
      a: reveal,
      j: () => order[at + 1] && setChosen(order[at + 1]!.id),
      k: () => at > 0 && setChosen(order[at - 1]!.id),
      y: () => finding && decide(finding, finding.kind === "sentence" ? "keep" : "accept"),
      n: () => finding && decide(finding, finding.kind === "sentence" ? "drop" : "reject"),
      e: () => finding?.kind === "finding" && editable && setForm(finding.id),
      d: () => editable && setForm("new"),
      b: () => editable && (finding?.kind === "finding" || added) && startBox(),
      t: suggest,
      f: () => document.querySelector<HTMLTextAreaElement>("textarea[name=findings]")?.focus(),
      s: sign,
      w: () => void next(),
      q: () => (location.hash = "#/"),
      Escape: () => {
        if (drawing && chosen) {
          setBoxes(({ [chosen]: _, ...rest }) => rest);
          setDrawing(false);
        } else setChosen(null);
      },
      Enter: () => {
        if (!drawing) return;
        keepBox();
        setDrawing(false);
      },
    };
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const act = acts[key];
    if (!act || event.repeat) return;
    if (key === "Enter" && (!drawing || (event.target as HTMLElement).closest("button, a"))) return;
    act();
    event.preventDefault();
  });
  const startBox = () => {
    if (!chosen) return;
    setDrawing((now) => !now);
    if (!drawing) {
      const known = boxes[chosen] ?? finding?.ruling?.box ?? added?.box ?? finding?.boxes[0];
      const frame = view!.frames[0]!;
      const start = known ?? { frame: 0, x0: frame.cols * 0.4, y0: frame.rows * 0.4, x1: frame.cols * 0.6, y1: frame.rows * 0.6 };
      setBoxes((now) => ({ ...now, [chosen]: { ...start } }));
      document.querySelector<HTMLElement>(".viewport")?.focus();
    }
  };

  if (!view) {
    return review.error ? (
      <p class="fault waiting" role="alert">
        {message(review.error, language, t.unreachable)}
      </p>
    ) : (
      <p class="waiting">{t.loading}</p>
    );
  }
  const relied = finding?.maps.find((each) => each.claim === "relied_on" && !each.withheld && each.grade !== "not shown") ?? null;
  const map = technical ?? (relied ? { key: relied.key, claim: relied.claim } : null);
  const box = chosen ? (boxes[chosen] ?? finding?.ruling?.box ?? added?.box ?? null) : null;
  const formFor = (name: string) => {
    if (form !== name || !editable) return null;
    const target = shown.find((each) => each.id === name);
    const start = target ? (target.ruling?.decision === "change" ? statementOf(target.ruling) : statementOf(target)) : NEW;
    return (
      <RulingForm
        key={name}
        start={start}
        codes={codes}
        submit={name === "new" ? t.add : t.change}
        onSubmit={submitForm}
        onCancel={() => setForm(null)}
      />
    );
  };
  const change = (target: Finding) => {
    setChosen(target.id);
    setForm(form === target.id ? null : target.id);
  };
  const signable = view.state === "in_review" || view.state === "amended" || view.state === "reported";
  return (
    <div class={`case ${view.critical ? "is-critical" : ""}`}>
      <div class="case-head">
        <h1>
          {t.case} {view.number}
        </h1>
        <span class={`state ${view.state}`}>{stateName(view.state, t)}</span>
        {view.critical && <span class="flag red">{t.critical}</span>}
        <Banner view={view} />
      </div>
      {review.takenBy && (
        <p class="claimed" role="status">
          {fill(t.claimedBy, { who: review.takenBy })} · {t.lookOnly}
          {reader && signable && (
            <button type="button" onClick={() => void run(review.takeOver())}>
              {t.takeOver}
            </button>
          )}
        </p>
      )}
      <div class="columns">
        <Viewer
          view={view}
          finding={finding}
          mapKey={map?.key ?? null}
          claim={map?.claim ?? "relied_on"}
          box={box}
          drawing={drawing}
          mayConfirm={editable}
          onBox={onBox}
          onSide={(side) => void run(review.act("POST", "/side", { patient_right: side }))}
        />
        <div class="desk">
          <div class="tabs" role="tablist" aria-label={t.case}>
            {(["report", "technical", "history", "export"] as const).map((each) => (
              <button key={each} type="button" role="tab" id={`tab-${each}`} aria-selected={tab === each} aria-controls="tab-panel" onClick={() => setTab(each)}>
                {{ report: t.tabReport, technical: t.tabTechnical, history: t.tabHistory, export: t.tabExport }[each]}
              </button>
            ))}
          </div>
          <div class="panel" role="tabpanel" id="tab-panel" aria-labelledby={`tab-${tab}`} tabIndex={0}>
            {fault !== null && (
              <p class="fault" role="alert">
                {message(fault, language, t.unreachable)}
              </p>
            )}
            {tab === "report" && (
              <>
                {view.question && (
                  <p class="asked">
                    <span class="muted">{t.question}</span> {view.question}
                  </p>
                )}
                <Criticals
                  records={view.criticals}
                  me={session.user.name}
                  editable={reader}
                  onRecord={(record, call) => void run(review.act("POST", "/criticals", { critical_id: record.id, ...call }, false))}
                />
                {view.run ? (
                  <Findings
                    view={view}
                    chosen={chosen}
                    editable={editable}
                    drawing={drawing}
                    boxes={boxes}
                    form={formFor}
                    onChoose={choose}
                    onDecide={decide}
                    onChange={change}
                    onBox={startBox}
                    onAdd={() => setForm(form === "new" ? null : "new")}
                    onWithdraw={withdraw}
                  />
                ) : (
                  <Waiting
                    view={view}
                    mayRead={reader && review.mine}
                    onReveal={reveal}
                    onOwn={ownFirst}
                    onRerun={() => void run(review.act("POST", "/rerun", undefined, false))}
                  />
                )}
                <Editor
                  text={text}
                  editable={editable}
                  edition={view.state === "signed" ? view.editions : null}
                  lang={view.language}
                  offered={offered}
                  onSuggest={suggest}
                  onOffer={takeOffer}
                  onSign={sign}
                />
                {editable && view.blockers.length > 0 && (
                  <details class="blockers" open={view.revealed && view.blockers.length < 4}>
                    <summary>
                      {t.blockers} ({view.blockers.length})
                    </summary>
                    <ul>
                      {view.blockers.map((notice) => (
                        <li key={notice.code + notice.en}>{notice[language]}</li>
                      ))}
                    </ul>
                  </details>
                )}
              </>
            )}
            {tab === "technical" && (
              <Technical view={view} finding={finding} mapKey={technical?.key ?? null} onMap={(key, claim) => setTechnical(key ? { key, claim } : null)} />
            )}
            {tab === "history" && <History view={view} />}
            {tab === "export" && <Exports view={view} may={session.user.role !== "viewer"} />}
          </div>
          <div class="foot">
            {reader && view.state !== "rejected" && (review.mine || view.state === "signed") && (
              <button type="button" class="plain" onClick={() => setAsking("reject")}>
                {t.rejectCase}
              </button>
            )}
            {maySign && view.state === "reported" && (
              <button type="button" onClick={() => setAsking("return")}>
                {t.sendBack}
              </button>
            )}
            {reader && view.state === "signed" && (
              <button type="button" onClick={() => setAsking("amend")}>
                {t.amend}
              </button>
            )}
            <span class="spacer" />
            <button type="button" class="plain" onClick={() => void next()}>
              {t.next} <kbd>W</kbd>
            </button>
            {maySign && (
              <button type="button" class="primary" onClick={sign}>
                {view.state === "reported" ? t.signReview : t.sign} <kbd>S</kbd>
              </button>
            )}
          </div>
        </div>
      </div>
      {signing && (
        <SignDialog
          session={session}
          review={review}
          view={view}
          parts={text.parts}
          passwordAt={passwordAt}
          patience={session.reauth_seconds * 1000}
          onClose={() => setSigning(false)}
          onSigned={() => {
            setSigning(false);
            setDrawing(false);
          }}
        />
      )}
      {asking && (
        <ReasonDialog
          title={{ return: t.sendBack, reject: t.rejectCase, amend: t.amend }[asking]}
          hint={{ return: t.returnHint, reject: t.rejectHint, amend: t.amendHint }[asking]}
          needed={asking !== "reject" || view.editions > 0}
          onClose={() => setAsking(null)}
          onSubmit={async (reason) => {
            await review.act("POST", `/${asking}`, { reason });
            if (asking === "amend") await review.act("POST", "/open", { take_over: false }, false);
          }}
        />
      )}
    </div>
  );
}

function statementOf(from: Finding | Ruling): Statement {
  const { code, polarity, side, zone, severity, certainty, size_mm } = from;
  return { code, polarity, side, zone, severity, certainty, size_mm, note: "note" in from ? from.note : null };
}
