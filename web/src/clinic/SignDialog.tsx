// The signature: who lies on the screen, what is signed, what it says, and the password once more.

import { useRef, useState } from "preact/hooks";
import { message, Problem, useToken, write } from "./api";
import { Banner } from "./Banner";
import { Dialog } from "./Dialog";
import type { CaseView, Notice, Session, TwoParts } from "./model";
import type { Review } from "./review";
import { SingleSignOn, useWayBack } from "./SignIn";
import { useVoice } from "./words";

interface Props {
  review: Review;
  session: Session;
  view: CaseView;
  parts: TwoParts;
  passwordAt: { current: number }; // when the password was given last
  patience: number; // ms for which it need not be given again
  onClose(): void;
  onSigned(): void;
}

export function SignDialog({ review, session, view, parts, passwordAt, patience, onClose, onSigned }: Props) {
  const { language, t } = useVoice();
  const [password, setPassword] = useState("");
  const [ask, setAsk] = useState(Date.now() - passwordAt.current > patience - 10_000);
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const [reasons, setReasons] = useState<Notice[]>([]);
  const field = useRef<HTMLInputElement>(null);
  const blockers = view.blockers.length ? view.blockers : reasons;
  const step = view.state === "reported" ? "reviewing" : null;
  const denied = view.findings.filter((each) => each.kind === "finding" && !each.must_rule && !each.ruling);

  // Proved at the identity provider, in another tab; somebody else who came back from there does not sign here.
  useWayBack(ask && !session.by_password, (now) => {
    if (now.user.id !== session.user.id) return location.reload();
    useToken(now.csrf);
    if (!now.reauth_at) return;
    const proved = new Date(now.reauth_at).getTime();
    passwordAt.current = Math.max(passwordAt.current, proved);
    if (Date.now() - proved < patience) setAsk(false);
  });

  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setFault(null);
    try {
      if (ask && session.by_password) {
        useToken((await write<Session>("POST", "/session/reauth", { password })).csrf);
        passwordAt.current = Date.now();
      }
      const seconds = Math.round((Date.now() - review.openedAt) / 100) / 10;
      await review.act("POST", "/sign", { attestation: true, step, seconds_open: seconds });
      onSigned();
    } catch (error) {
      setBusy(false);
      const code = error instanceof Problem ? error.body.code : null;
      if (code === "reauthentication-needed") {
        setAsk(true);
        setTimeout(() => field.current?.focus());
        return;
      }
      if (error instanceof Problem && Array.isArray(error.body.reasons)) setReasons(error.body.reasons as Notice[]);
      const wrong = error instanceof Problem && error.status === 401;
      setFault(wrong ? t.wrongPassword : message(error, language, t.unreachable));
      field.current?.select();
    }
  };
  return (
    <Dialog title={step === "reviewing" ? t.signReview : t.sign} wide onClose={onClose}>
      <Banner view={view} />
      <form class="sign" onSubmit={(event) => void submit(event)}>
        <div class="to-sign" lang={view.language === "zh" ? "zh-CN" : "en"} tabIndex={0} role="region" aria-label={t.report}>
          <h3>{t.findingsPart}</h3>
          <p>{parts.findings || "—"}</p>
          <h3>{t.impressionPart}</h3>
          <p>{parts.impression || "—"}</p>
        </div>
        {denied.length > 0 && (
          <p class="muted small">
            {t.coveredDenials}: {denied.map((each) => each.phrase[language]).join(language === "zh" ? "；" : "; ")}
          </p>
        )}
        {blockers.length > 0 ? (
          <div class="blockers" role="alert">
            <h3>{t.blockers}</h3>
            <ul>
              {blockers.map((notice) => (
                <li key={notice.code + notice.en}>{notice[language]}</li>
              ))}
            </ul>
          </div>
        ) : (
          <p class="attestation">{t.attestation}</p>
        )}
        {ask && !blockers.length && !session.by_password && (
          <p>
            {t.ssoSign} <SingleSignOn again />
          </p>
        )}
        {ask && !blockers.length && session.by_password && (
          <label class="password">
            <span>{t.yourPassword}</span>
            <input
              ref={field}
              type="password"
              autocomplete="current-password"
              required
              autofocus
              value={password}
              onInput={(event) => setPassword(event.currentTarget.value)}
            />
          </label>
        )}
        {fault && !blockers.length && (
          <p class="fault" role="alert">
            {fault}
          </p>
        )}
        <div class="actions">
          <button type="button" class="plain" onClick={onClose} autofocus={blockers.length > 0}>
            {t.cancel}
          </button>
          <button type="submit" class="primary" disabled={busy || blockers.length > 0 || (ask && !session.by_password)} autofocus={!ask && !blockers.length}>
            {t.attest}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
