import { useState } from "preact/hooks";
import { api, ApiFailure, data } from "../api/client";
import { deviceList } from "../api/fleet";
import { type Scope, session } from "../api/session";
import { ago, moment, t, type Key } from "../i18n";
import { useLoad } from "../lib/hooks";
import { Badge, Button, Card, Checkbox, Empty, Failure, Field, Loading, Name, Page, Secret, ui } from "../ui/basics";
import { confirmThen, Dialog } from "../ui/dialog";
import css from "./pages.module.css";

const SCOPES: Scope[] = ["devices:read", "devices:write", "messages:read", "messages:send", "events:read", "admin"];
const DAY_MS = 86_400_000;
const EXPIRIES = [0, 7, 30, 90, 365];

function NewKey({ close, done }: { close: () => void; done: () => void }) {
  const own = session.value!.key;
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<Scope[]>(["devices:read", "messages:read"]);
  const [devices, setDevices] = useState<string[]>([]);
  const [days, setDays] = useState(0);
  const [key, setKey] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);
  const refused = (field: string) => (error instanceof ApiFailure ? error.field(field) : undefined);
  const toggle = <T,>(list: T[], item: T): T[] => (list.includes(item) ? list.filter((other) => other !== item) : [...list, item]);
  const save = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    // A key of some devices can only make keys of some of them.
    const limit = devices.length > 0 ? devices : (own.devices ?? undefined);
    try {
      const made = await data(api.POST("/api/v1/api-keys", { body: { name, scopes, devices: limit, expiresAt: days > 0 ? Date.now() + days * DAY_MS : (own.expiresAt ?? undefined) } }));
      setKey(made.key);
      done();
    } catch (failure) {
      setError(failure);
    } finally {
      setBusy(false);
    }
  };
  if (key) {
    return (
      <Dialog title={t("keys.madeTitle")} onClose={close}>
        <p>{t("keys.madeText")}</p>
        <Secret value={key} />
        <div class={ui.actions}><Button variant="primary" onClick={close}>{t("action.done")}</Button></div>
      </Dialog>
    );
  }
  return (
    <Dialog title={t("keys.new")} onClose={close}>
      <form class={ui.stack} onSubmit={save}>
        <Field label={t("keys.name")} hint={t("keys.nameHint")} error={refused("name")}>{(field) => <input {...field} required autoFocus maxLength={100} value={name} onInput={(event) => setName(event.currentTarget.value)} />}</Field>
        <fieldset class={css.checks}>
          <legend>{t("keys.scopes")}</legend>
          {SCOPES.map((scope) => <Checkbox key={scope} label={t(`scope.${scope}` as Key)} hint={scope} checked={scopes.includes(scope)} onChange={() => setScopes(toggle(scopes, scope))} />)}
        </fieldset>
        {deviceList.value.length > 0 && (
          <fieldset class={css.checks}>
            <legend>{t("keys.devices")}</legend>
            {deviceList.value.map((device) => <Checkbox key={device.id} label={<Name>{device.name}</Name>} checked={devices.includes(device.id)} onChange={() => setDevices(toggle(devices, device.id))} />)}
          </fieldset>
        )}
        <p class={ui.hint}>{own.devices ? t("keys.devicesHintOwn") : t("keys.devicesHint")}</p>
        <Field label={t("keys.expiry")} error={refused("expiresAt")}>
          {(field) => <select {...field} value={String(days)} onChange={(event) => setDays(Number(event.currentTarget.value))}>{EXPIRIES.map((count) => <option key={count} value={String(count)}>{t(`keys.expiry.${count}` as Key)}</option>)}</select>}
        </Field>
        {error !== null && <Failure error={error} />}
        <div class={ui.actions}><Button onClick={close}>{t("action.cancel")}</Button><Button type="submit" variant="primary" busy={isBusy} disabled={scopes.length === 0}>{t("action.create")}</Button></div>
      </form>
    </Dialog>
  );
}

export function Keys() {
  const { data: list, error, reload } = useLoad(() => data(api.GET("/api/v1/api-keys")), "keys");
  const [isNew, setNew] = useState(false);
  const own = session.value!.key.id;
  const revoke = (id: string, name: string) => confirmThen({
    title: t("keys.revokeTitle", { name: name || id }), text: id === own ? t("keys.revokeOwn") : t("keys.revokeText"), action: t("keys.revoke"), isDangerous: true,
    run: async () => {
      await data(api.DELETE("/api/v1/api-keys/{keyId}", { params: { path: { keyId: id } } }));
      reload();
    },
  });
  return (
    <Page title={t("nav.keys")} subtitle={t("keys.text")} actions={<Button variant="primary" icon="plus" onClick={() => setNew(true)}>{t("keys.new")}</Button>}>
      {error ? <Failure error={error} retry={reload} /> : null}
      {!list ? !error && <Loading /> : (
        <Card flush>
          {list.length === 0 ? <Empty icon="keys" title={t("keys.empty")} /> : (
            <ul class={ui.list}>
              {list.map((key) => (
                <li key={key.id} class={ui.listRow}>
                  <span class={ui.grow}>
                    <strong><Name>{key.name || key.id}</Name></strong> {key.id === own && <Badge tone="info">{t("keys.own")}</Badge>}
                    <br /><span class={`${ui.muted} ${ui.smallText}`}>{key.scopes.join(", ")} · {key.devices ? key.devices.join(", ") : t("webhook.allDevices")}</span>
                    <br /><span class={`${ui.muted} ${ui.smallText}`}>{t("keys.created", { when: moment(key.createdAt) })} · {key.lastUsedAt ? t("keys.used", { when: ago(key.lastUsedAt) }) : t("keys.neverUsed")}{key.expiresAt ? ` · ${t("keys.expires", { when: moment(key.expiresAt) })}` : ""}</span>
                  </span>
                  <Button size="small" variant="danger" onClick={() => revoke(key.id, key.name)}>{t("keys.revoke")}</Button>
                </li>
              ))}
            </ul>
          )}
        </Card>
      )}
      {isNew && <NewKey close={() => setNew(false)} done={reload} />}
    </Page>
  );
}
