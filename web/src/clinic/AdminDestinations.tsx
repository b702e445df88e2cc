import { useState } from "preact/hooks";
import { message, write } from "./api";
import { useLoaded } from "./loaded";
import type { Destination, Page } from "./model";
import { useVoice } from "./words";

const EMPTY = {
  name: "",
  kind: "stow" as "stow" | "cstore",
  url: "",
  host: "",
  port: "104",
  aet: "",
  calling_aet: "",
  tls: false,
  verify_tls: true,
  token: "",
  ca_pem: "",
};
type TextField = "name" | "url" | "host" | "port" | "aet" | "calling_aet" | "token";

export function Destinations() {
  const { t } = useVoice();
  const places = useLoaded<Page<Destination>>("/destinations");
  const [fresh, setFresh] = useState(EMPTY);
  const text = (name: TextField, label: string, more: object = {}) => (
    <label>
      <span>{label}</span>
      <input required value={fresh[name]} autocomplete="off" {...more} onInput={(event) => setFresh({ ...fresh, [name]: event.currentTarget.value })} />
    </label>
  );
  const create = async (event: Event) => {
    event.preventDefault();
    const { name, kind, url, host, port, aet, verify_tls, tls } = fresh;
    const given = (field: "token" | "ca_pem" | "calling_aet") => fresh[field].trim() || null;
    const where =
      kind === "stow"
        ? { url, verify_tls, token: given("token") }
        : { host, port: Number(port), aet, tls, calling_aet: given("calling_aet") };
    const authority = kind === "stow" || tls ? { ca_pem: given("ca_pem") } : {};
    if (await places.run(write("POST", "/destinations", { name, kind, ...where, ...authority }))) setFresh({ ...EMPTY, kind });
  };
  return (
    <>
      {places.fault && (
        <p class="fault" role="alert">
          {places.fault}
        </p>
      )}
      <table>
        <thead>
          <tr>
            <th>{t.destinationName}</th>
            <th>{t.kind}</th>
            <th>{t.url}</th>
            <th>TLS</th>
            <th>
              <span class="visually-hidden">{t.delete}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {places.value?.items.map((each) => (
            <tr key={each.name}>
              <td>{each.name}</td>
              <td>{each.kind === "stow" ? "STOW-RS" : "C-STORE"}</td>
              <td>{each.url ?? `${each.aet}@${each.host}:${each.port}`}</td>
              <td>
                {[
                  each.kind === "stow" ? each.verify_tls && t.verifyTls : each.tls && t.useTls,
                  each.ca_pem && t.ownCa,
                  each.has_token && t.hasToken,
                ]
                  .filter(Boolean)
                  .join(", ") || "—"}
              </td>
              <td>
                <button type="button" onClick={() => void places.run(write("DELETE", `/destinations/${each.name}`))}>
                  {t.delete}
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {places.value?.items.length === 0 && <p class="muted">{t.none}</p>}
      <form class="card" onSubmit={(event) => void create(event)}>
        <h3>{t.newDestination}</h3>
        <div class="fields">
          {text("name", t.destinationName, { pattern: "[a-z0-9][a-z0-9_\\-]{0,39}", placeholder: "pacs" })}
          <label>
            <span>{t.kind}</span>
            <select value={fresh.kind} onChange={(event) => setFresh({ ...fresh, kind: event.currentTarget.value as "stow" })}>
              <option value="stow">STOW-RS</option>
              <option value="cstore">C-STORE</option>
            </select>
          </label>
          {fresh.kind === "stow" ? (
            <>
              {text("url", t.url, { type: "url", placeholder: "https://" })}
              <label class="check">
                <input type="checkbox" checked={fresh.verify_tls} onChange={() => setFresh({ ...fresh, verify_tls: !fresh.verify_tls })} /> {t.verifyTls}
              </label>
              {text("token", t.token, { type: "password", autocomplete: "new-password", placeholder: t.tokenHint, required: false })}
            </>
          ) : (
            <>
              {text("host", t.host)}
              {text("port", t.port, { inputMode: "numeric" })}
              {text("aet", t.aet, { maxLength: 16 })}
              {text("calling_aet", t.callingAet, { maxLength: 16, placeholder: "RADIOLUCENT", required: false })}
              <label class="check">
                <input type="checkbox" checked={fresh.tls} onChange={() => setFresh({ ...fresh, tls: !fresh.tls })} /> {t.useTls}
              </label>
            </>
          )}
          {(fresh.kind === "stow" || fresh.tls) && (
            <label class="whole">
              <span>{t.caPem}</span>
              <textarea
                rows={3}
                spellcheck={false}
                placeholder="-----BEGIN CERTIFICATE-----"
                value={fresh.ca_pem}
                onInput={(event) => setFresh({ ...fresh, ca_pem: event.currentTarget.value })}
              />
            </label>
          )}
          <button type="submit" class="primary">
            {t.create}
          </button>
        </div>
      </form>
      <Pull places={places.value?.items.filter((each) => each.kind === "stow") ?? []} />
    </>
  );
}

function Pull({ places }: { places: Destination[] }) {
  const { language, t } = useVoice();
  const [source, setSource] = useState("");
  const [uid, setUid] = useState("");
  const [date, setDate] = useState("");
  const [told, setTold] = useState<string | null>(null);
  if (!places.length) return null;
  const submit = (event: Event) => {
    event.preventDefault();
    const body = { source: source || places[0]!.name, ...(uid ? { study_uid: uid.trim() } : { date }) };
    write("POST", "/pull", body).then(
      () => setTold(t.fetching),
      (error) => setTold(message(error, language, t.unreachable)),
    );
  };
  return (
    <form class="card" onSubmit={submit}>
      <h3>{t.fetchStudies}</h3>
      <p class="muted small">{t.fetchHint}</p>
      <div class="fields">
        <label>
          <span>{t.destination}</span>
          <select value={source || places[0]!.name} onChange={(event) => setSource(event.currentTarget.value)}>
            {places.map((each) => (
              <option key={each.name} value={each.name}>
                {each.name}
              </option>
            ))}
          </select>
        </label>
        <label>
          <span>{t.studyUid}</span>
          <input value={uid} pattern="[0-9]+(\.[0-9]+)*" maxLength={64} required={!date} onInput={(event) => setUid(event.currentTarget.value)} />
        </label>
        <label>
          <span>{t.studyDate}</span>
          <input type="date" value={date} disabled={Boolean(uid)} required={!uid} onInput={(event) => setDate(event.currentTarget.value)} />
        </label>
        <button type="submit" class="primary">
          {t.fetch}
        </button>
      </div>
      {told && <p role="status">{told}</p>}
    </form>
  );
}
