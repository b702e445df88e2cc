import { useState } from "preact/hooks";
import { message, Problem, write } from "./api";
import type { Session } from "./model";
import { useVoice } from "./words";

interface Props {
  onEnter(session: Session): void;
  again?: string; // who was signed in before
}

export function SignIn({ onEnter, again }: Props) {
  const { language, t } = useVoice();
  const [login, setLogin] = useState(again ?? "");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string | null>(null);

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
      {fault && (
        <p class="fault" role="alert">
          {fault}
        </p>
      )}
      <button type="submit" class="primary" disabled={busy}>
        {t.signIn}
      </button>
      {!again && <p class="muted small">{t.noAccount}</p>}
    </form>
  );
}
