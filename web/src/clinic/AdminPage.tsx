// Administration, one tab a subject.

import { Audit, Incidents } from "./AdminAudit";
import { Destinations } from "./AdminDestinations";
import { Performance } from "./AdminPerformance";
import { SwitchPanel } from "./AdminSwitches";
import { Users } from "./AdminUsers";
import { type Tab, TABS } from "./route";
import { useVoice } from "./words";

const PANELS = { users: Users, destinations: Destinations, switches: SwitchPanel, performance: Performance, audit: Audit, incidents: Incidents };

export function AdminPage({ tab }: { tab: Tab }) {
  const { t } = useVoice();
  const Panel = PANELS[tab];
  return (
    <div class="admin">
      <nav class="side" aria-label={t.admin}>
        <h1>{t.admin}</h1>
        {TABS.map((each) => (
          <a key={each} href={`#/admin/${each}`} aria-current={tab === each ? "page" : undefined}>
            {t[each]}
          </a>
        ))}
      </nav>
      <section class="admin-panel" aria-label={t[tab]} tabIndex={0}>
        <h2 class="title">{t[tab]}</h2>
        <Panel />
      </section>
    </div>
  );
}
