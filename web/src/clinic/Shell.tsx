// What stands around every page: the name, the ways, who is signed in, and what this is not.

import type { ComponentChildren } from "preact";
import type { Language } from "../data";
import type { Theme } from "./App";
import type { Session } from "./model";
import type { Route } from "./route";
import { useVoice } from "./words";

interface Props {
  session: Session | null;
  route: Route;
  theme: Theme;
  onTheme(theme: Theme): void;
  onLanguage(language: Language): void;
  onKeys(): void;
  onModel(): void;
  onLeave(): void;
  children: ComponentChildren;
}

export function Shell(props: Props) {
  const { session, route, theme } = props;
  const { language, t } = useVoice();
  return (
    <div class={`shell page-${session ? route.page : "sign-in"}`}>
      <header class="top">
        <a class="brand" href="#/">
          radiolucent
        </a>
        {session && (
          <nav aria-label={t.worklist}>
            <a href="#/" aria-current={route.page === "list" ? "page" : undefined}>
              {t.worklist}
            </a>
            {session.user.role === "admin" && (
              <a href="#/admin/users" aria-current={route.page === "admin" ? "page" : undefined}>
                {t.admin}
              </a>
            )}
          </nav>
        )}
        <span class="spacer" />
        {session && (
          <button type="button" class="plain" onClick={props.onModel}>
            {t.modelLimits}
          </button>
        )}
        <div class="segmented" role="group" aria-label="Language / 语言">
          <button type="button" lang="en" aria-pressed={language === "en"} onClick={() => props.onLanguage("en")}>
            EN
          </button>
          <button type="button" lang="zh-CN" aria-pressed={language === "zh"} onClick={() => props.onLanguage("zh")}>
            中文
          </button>
        </div>
        <div class="segmented" role="group" aria-label={t.theme}>
          {(["dark", "light"] as const).map((each) => (
            <button key={each} type="button" aria-pressed={theme === each} onClick={() => props.onTheme(each)}>
              {t[each]}
            </button>
          ))}
        </div>
        <button type="button" class="plain" onClick={props.onKeys}>
          {t.keyboard} <kbd>?</kbd>
        </button>
        {session && (
          <>
            <span class="me">{session.user.name || session.user.login}</span>
            <button type="button" class="plain" onClick={props.onLeave}>
              {t.signOut}
            </button>
          </>
        )}
      </header>
      {session?.demo && (
        <aside class="banner" aria-label={t.demoBadge}>
          {t.demo}
        </aside>
      )}
      <main id="content">{props.children}</main>
      <footer class="notice">
        <strong>{t.notDevice}</strong>
        <span>{t.unverified}</span>
        {session?.mode === "research" && <span>{t.research}</span>}
      </footer>
    </div>
  );
}
