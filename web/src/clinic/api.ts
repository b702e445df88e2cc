// The way to the server: cookies carry the session, a header the CSRF token, If-Match the case's version.

const BASE = "/api/v1";
const PATIENCE = 20_000; // ms before a request is given up; nothing typed is lost by that

export class Problem extends Error {
  constructor(
    readonly status: number, // 0: no answer
    readonly title: string,
    readonly body: Record<string, unknown> = {},
  ) {
    super(title);
  }
}

interface Options {
  method?: string;
  body?: unknown;
  version?: number;
  headers?: Record<string, string>;
}

let csrf = "";
let onSignedOut: () => void = () => undefined;

export function useToken(token: string): void {
  csrf = token;
}

export function whenSignedOut(act: () => void): void {
  onSignedOut = act;
}

export async function send(path: string, { method = "GET", body, version, headers = {} }: Options = {}): Promise<Response> {
  const all: Record<string, string> = { Accept: "application/json", ...headers };
  if (method !== "GET") all["X-CSRF-Token"] = csrf;
  if (version !== undefined) all["If-Match"] = `"${version}"`;
  let payload: BodyInit | null = null;
  if (body instanceof FormData) payload = body;
  else if (body !== undefined) {
    payload = JSON.stringify(body);
    all["Content-Type"] = "application/json";
  }
  let answer: Response;
  try {
    const patience = body instanceof FormData ? PATIENCE * 15 : PATIENCE;
    const signal = AbortSignal.timeout(patience);
    answer = await fetch(BASE + path, { method, headers: all, body: payload, credentials: "same-origin", signal });
  } catch {
    throw new Problem(0, "");
  }
  if (answer.ok) return answer;
  const told = (await answer.json().catch(() => ({}))) as Record<string, unknown>;
  if (answer.status === 401 && path !== "/session" && path !== "/session/reauth") onSignedOut();
  throw new Problem(answer.status, String(told.detail ?? told.title ?? `${answer.status} ${answer.statusText}`), told);
}

export async function get<T>(path: string): Promise<T> {
  return (await (await send(path)).json()) as T;
}

export async function write<T>(method: string, path: string, body?: unknown, version?: number): Promise<T> {
  const options: Options = { method };
  if (body !== undefined) options.body = body;
  if (version !== undefined) options.version = version;
  const answer = await send(path, options);
  const text = await answer.text();
  return (text ? JSON.parse(text) : null) as T;
}

export const SINGLE_SIGN_ON = `${BASE}/session/oidc`; // an address to go to, not one to ask

// A name for one attempt, so that a repeated one is recognised; works without a secure context.
export function freshKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Messages that carry both languages are written "English / 中文" by the server.
export function message(error: unknown, language: "en" | "zh", unreachable: string): string {
  if (!(error instanceof Problem)) return String(error);
  if (error.status === 0) return unreachable;
  const pair = error.title.split(/ \/ (?=[^/]*[\u4e00-\u9fff])/);
  return (pair.length === 2 ? pair[language === "zh" ? 1 : 0] : error.title) ?? error.title;
}
