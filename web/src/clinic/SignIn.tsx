import { useEffect, useState } from "preact/hooks";
import { get, message, Problem, SINGLE_SIGN_ON, write } from "./api";
import type { Session } from "./model";
import type { SignedOn } from "./route";
import { useVoice } from "./words";

interface Props {
  onEnter(session: Session): void;
  again?: string; // who was signed in before
  outcome?: SignedOn | undefined; // of the way to the identity provider
}

export function SignIn({ onEnter, again, outcome }: Props) {
  const { language, t } = useVoice();
  const [login, setLogin] = useState(again ?? "");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);
  const [single, setSingle] = useState(false);

  useEffect(() => {
    get<{ single_sign_on: boolean }>("/session/ways").then((ways) => setSingle(ways.single_sign_on), () => undefined);
  }, []);
  // Somebody at work signs in there in another tab; what was typed here stays.
  useWayBack(Boolean(again && single), onEnter);

  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setFault(null);
    try {
      onEnter(await write<Session>("POST", "/session", { login, password }));
    } catch (error) {
      const wrong = error instanceof Problem && error.status === 401;
      setFault(wrong ? t.wrongLogin : message(error, language, t.unreachable));
      setBusy(false);
    }
  };
  const told = fault ?? (outcome === "refused" ? t.ssoRefused : outcome === "away" ? t.ssoAway : null);
  return (
    <form class="sign-in" onSubmit={(event) => void submit(event)}>
      {!again && <h1>{t.signIn}</h1>}
      <label>
        <span>{t.login}</span>
        <input
          name="login"
          autocomplete="username"
          required
          value={login}
          onInput={(event) => setLogin(event.currentTarget.value)}
          autofocus={!again}
        />
      </label>
      <label>
        <span>{t.password}</span>
        <input
          name="password"
          type="password"
          autocomplete="current-password"
          required
          value={password}
          onInput={(event) => setPassword(event.currentTarget.value)}
          autofocus={Boolean(again)}
        />
      </label>
      {told && (
        <p class="fault" role="alert">
          {told}
        </p>
      )}
      <button type="submit" class="primary" disabled={busy}>
        {t.signIn}
      </button>
      {single && <SingleSignOn again={Boolean(again)} />}
      {!again && <p class="muted small">{t.noAccount}</p>}
    </form>
  );
}

// The way to the site's identity provider: in another tab for somebody at work, who comes back to where they were.
export function SingleSignOn({ again }: { again: boolean }) {
  const { t } = useVoice();
  return again ? (
    <a class="sso" href={`${SINGLE_SIGN_ON}?again=true`} target="_blank" rel="noopener">
      {t.ssoAgain}
    </a>
  ) : (
    <a class="sso" href={SINGLE_SIGN_ON}>
      {t.sso}
    </a>
  );
}

// Each time the person looks at this tab again: the session as it now stands.
export function useWayBack(waits: boolean, onBack: (session: Session) => void): void {
  useEffect(() => {
    if (!waits) return;
    const look = () => {
      if (document.visibilityState === "visible") get<Session>("/session").then(onBack, () => undefined);
    };
    document.addEventListener("visibilitychange", look);
    window.addEventListener("focus", look);
    return () => {
      document.removeEventListener("visibilitychange", look);
      window.removeEventListener("focus", look);
    };
  }, [waits]);
}
