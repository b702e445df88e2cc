// The page's own addresses, behind the # so that they never reach a server's log.

export type Tab = "users" | "destinations" | "switches" | "performance" | "audit" | "incidents";
export type Route = { page: "list" } | { page: "case"; id: string } | { page: "admin"; tab: Tab };

export const TABS: Tab[] = ["users", "destinations", "switches", "performance", "incidents", "audit"];

export function parse(hash: string): Route {
  const [page, rest] = hash.replace(/^#\/?/, "").split("/");
  if (page === "case" && rest && /^[0-9a-f-]{8,40}$/i.test(rest)) return { page: "case", id: rest };
  if (page === "admin") return { page: "admin", tab: TABS.find((tab) => tab === rest) ?? "users" };
  return { page: "list" };
}
