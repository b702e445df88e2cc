import { useState } from "preact/hooks";
import { write } from "./api";
import { useLoaded } from "./loaded";
import type { Page, Role, User } from "./model";
import { useVoice } from "./words";

const ROLES: Role[] = ["viewer", "radiologist", "admin", "service"];

export function Users() {
  const { t } = useVoice();
  const users = useLoaded<Page<User>>("/users?limit=200");
  const [fresh, setFresh] = useState({ login: "", name: "", role: "radiologist" as Role, password: "" });
  const names: Record<Role, string> = {
    viewer: t.roleViewer,
    radiologist: t.roleRadiologist,
    admin: t.roleAdmin,
    service: t.roleService,
  };
  const patch = (user: User, change: object) => void users.run(write("PATCH", `/users/${user.id}`, change));
  const create = async (event: Event) => {
    event.preventDefault();
    const { login, name, role, password } = fresh;
    const made = await users.run(write("POST", "/users", { login, name, role, ...(password ? { password } : {}) }));
    if (made) setFresh({ login: "", name: "", role, password: "" });
  };
  return (
    <>
      {users.fault && (
        <p class="fault" role="alert">
          {users.fault}
        </p>
      )}
      <table>
        <thead>
          <tr>
            <th>{t.login}</th>
            <th>{t.name}</th>
            <th>{t.role}</th>
            <th>{t.signsInBy}</th>
            <th>{t.state}</th>
            <th>
              <span class="visually-hidden">{t.change}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {users.value?.items.map((user) => (
            <tr key={user.id} class={user.active === false ? "off" : ""}>
              <td>{user.login}</td>
              <td>{user.name}</td>
              <td>
                <select aria-label={`${t.role}: ${user.login}`} value={user.role} onChange={(event) => patch(user, { role: event.currentTarget.value })}>
                  {ROLES.map((role) => (
                    <option key={role} value={role}>
                      {names[role]}
                    </option>
                  ))}
                </select>
              </td>
              <td>{user.signs_in_by === "password" ? t.password : user.signs_in_by === "oidc" ? "OIDC" : t.passwordLess}</td>
              <td>
                {user.active === false ? t.inactive : t.active}
                {user.locked && <span class="flag amber">{t.locked}</span>}
              </td>
              <td>
                <button type="button" onClick={() => patch(user, { active: user.active === false })}>
                  {user.active === false ? t.activate : t.deactivate}
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <form class="card" onSubmit={(event) => void create(event)}>
        <h3>{t.newUser}</h3>
        <div class="fields">
          <label>
            <span>{t.login}</span>
            <input required autocomplete="off" value={fresh.login} onInput={(event) => setFresh({ ...fresh, login: event.currentTarget.value })} />
          </label>
          <label>
            <span>{t.name}</span>
            <input required autocomplete="off" value={fresh.name} onInput={(event) => setFresh({ ...fresh, name: event.currentTarget.value })} />
          </label>
          <label>
            <span>{t.role}</span>
            <select value={fresh.role} onChange={(event) => setFresh({ ...fresh, role: event.currentTarget.value as Role })}>
              {ROLES.map((role) => (
                <option key={role} value={role}>
                  {names[role]}
                </option>
              ))}
            </select>
          </label>
          <label>
            <span>{t.password}</span>
            <input
              type="password"
              autocomplete="new-password"
              minLength={12}
              placeholder={t.passwordHint}
              value={fresh.password}
              onInput={(event) => setFresh({ ...fresh, password: event.currentTarget.value })}
            />
          </label>
          <button type="submit" class="primary">
            {t.create}
          </button>
        </div>
      </form>
    </>
  );
}
