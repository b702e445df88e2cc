// Who is signed in, which page is open, language and theme. Nothing of it is kept in the browser's storage.

import { useCallback, useEffect, useLayoutEffect, useMemo, useState } from "preact/hooks";
import type { Language } from "../data";
import { AdminPage } from "./AdminPage";
import { get, Problem, useToken, whenSignedOut, write } from "./api";
import { CasePage } from "./CasePage";
import { Dialog } from "./Dialog";
import { Keys } from "./Keys";
import type { Session } from "./model";
import { ModelPage } from "./ModelPage";
import { parse, type Route } from "./route";
import { Shell } from "./Shell";
import { SignIn } from "./SignIn";
import { SAY, VoiceContext } from "./words";
import { Worklist } from "./Worklist";
import { usePageKeys } from "../pagekeys";

export type Theme = "dark" | "light";

export function App() {
  const [language, setLanguage] = useState<Language>(navigator.language.startsWith("zh") ? "zh" : "en");
  const [theme, setTheme] = useState<Theme>("dark");
  const [session, setSession] = useState<Session | null | undefined>(undefined);
  const [expired, setExpired] = useState(false);
  const [route, setRoute] = useState<Route>(parse(location.hash));
  const [keys, setKeys] = useState(false);
  const [model, setModel] = useState(false);
  const t = SAY[language];
  const voice = useMemo(() => ({ language, t }), [language]);

  useEffect(() => {
    whenSignedOut(() => setExpired(true));
    get<Session>("/session").then(enter, (error: unknown) => {
      setSession(null);
      if (!(error instanceof Problem && error.status === 401)) console.warn("no session");
    });
    const moved = () => setRoute(parse(location.hash));
    window.addEventListener("hashchange", moved);
    return () => window.removeEventListener("hashchange", moved);
  }, []);
  useLayoutEffect(() => {
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
    document.documentElement.dataset.theme = theme;
    document.title = `radiolucent · ${t.worklist}`;
  }, [language, theme]);

  const enter = useCallback((next: Session) => {
    useToken(next.csrf);
    setSession(next);
    setExpired(false);
  }, []);

  const leave = async () => {
    await write("DELETE", "/session").catch(() => undefined);
    useToken("");
    setSession(null);
    location.hash = "";
  };

  usePageKeys((event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
    if (event.key === "l" || event.key === "L") setLanguage((now) => (now === "en" ? "zh" : "en"));
    else if (event.key === "?" || event.key === "h" || event.key === "H") setKeys(true);
    else return;
    event.preventDefault();
  });

  let page = null;
  if (session === undefined) page = <p class="waiting">{t.loading}</p>;
  else if (route.page === "signed-on" && route.outcome === "again") page = <p class="waiting">{t.ssoDone}</p>;
  else if (session === null) page = <SignIn onEnter={enter} outcome={route.page === "signed-on" ? route.outcome : undefined} />;
  // Another person's session starts from a clean page: the user is part of the key.
  else if (route.page === "case") page = <CasePage key={`${session.user.id} ${route.id}`} id={route.id} session={session} />;
  else if (route.page === "admin" && session.user.role === "admin") page = <AdminPage key={session.user.id} tab={route.tab} />;
  else page = <Worklist key={session.user.id} session={session} />;

  return (
    <VoiceContext.Provider value={voice}>
      <Shell
        session={session ?? null}
        route={route}
        theme={theme}
        onTheme={setTheme}
        onLanguage={setLanguage}
        onKeys={() => setKeys(true)}
        onModel={() => setModel(true)}
        onLeave={() => void leave()}
      >
        {page}
      </Shell>
      {keys && <Keys onClose={() => setKeys(false)} />}
      {model && <ModelPage onClose={() => setModel(false)} />}
      {expired && session && (
        <Dialog title={t.signIn} forced onClose={() => undefined}>
          <p class="muted">{t.signInAgain}</p>
          <SignIn onEnter={enter} again={session.user.login} />
        </Dialog>
      )}
    </VoiceContext.Provider>
  );
}

export function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !/^(checkbox|radio|range|button)$/.test(target.type);
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}
