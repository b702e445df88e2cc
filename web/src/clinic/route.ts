// The page's own addresses, behind the # so that they never reach a server's log.

export type Tab = "users" | "destinations" | "switches" | "performance" | "audit" | "incidents";
export type SignedOn = "again" | "refused" | "away"; // what the way back from the identity provider says
export type Route = { page: "list" } | { page: "signed-on"; outcome: SignedOn } | { page: "case"; id: string } | { page: "admin"; tab: Tab };

export const TABS: Tab[] = ["users", "destinations", "switches", "performance", "incidents", "audit"];

export function parse(hash: string): Route {
  const [page, rest] = hash.replace(/^#\/?/, "").split("/");
  if (page === "case" && rest && /^[0-9a-f-]{8,40}$/i.test(rest)) return { page: "case", id: rest };
  const outcome = (["again", "refused", "away"] as const).find((each) => each === rest);
  if (page === "signed-on" && outcome) return { page: "signed-on", outcome };
  if (page === "admin") return { page: "admin", tab: TABS.find((tab) => tab === rest) ?? "users" };
  return { page: "list" };
}
