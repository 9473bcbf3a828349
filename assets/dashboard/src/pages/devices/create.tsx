import { useEffect, useRef, useState } from "preact/hooks";
import { ApiFailure, api, data } from "../../api/client";
import { putDevice } from "../../api/fleet";
import { session } from "../../api/session";
import { type Key, t, tMaybe } from "../../i18n";
import { engineName } from "../../lib/device_words";
import { href, navigate } from "../../lib/router";
import { Button, Card, Failure, Field, LinkButton, Page, ui } from "../../ui/basics";

interface Setting {
  name: string;
  isSecret?: boolean;
  isRequired?: boolean;
}

/** The settings that an engine needs before it can connect. Others are changed by API. */
const SETTINGS: Record<string, { group: string; fields: Setting[] }> = {
  "cloud-api": { group: "cloud-api", fields: [{ name: "phoneNumberId", isRequired: true }, { name: "accessToken", isSecret: true, isRequired: true }, { name: "appSecret", isSecret: true, isRequired: true }, { name: "verifyToken", isSecret: true, isRequired: true }] },
  waha: { group: "waha", fields: [{ name: "baseUrl", isRequired: true }, { name: "session" }, { name: "apiKey", isSecret: true }] },
  remote: { group: "remote", fields: [{ name: "baseUrl", isRequired: true }, { name: "device" }, { name: "apiKey", isSecret: true, isRequired: true }] },
};

export function NewDevice() {
  const server = session.value!.server;
  const engines = server.engines.map((engine) => engine.name);
  const [engine, setEngine] = useState(server.defaultEngine);
  const [id, setId] = useState("");
  const [name, setName] = useState("");
  const [values, setValues] = useState<Record<string, string>>({});
  const [error, setError] = useState<unknown>(null);
  const [isBusy, setBusy] = useState(false);
  const first = useRef<HTMLInputElement>(null);
  // Browsers apply `autofocus` to dialogs and new documents only.
  useEffect(() => first.current?.focus(), []);
  const needed = SETTINGS[engine];
  const refused = (field: string) => (error instanceof ApiFailure ? error.field(field) : undefined);

  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      const filled = Object.fromEntries((needed?.fields ?? []).map((field) => [field.name, values[field.name]?.trim()]).filter(([, value]) => value));
      const settings = needed ? { [needed.group]: filled } : undefined;
      const device = await data(api.POST("/api/v1/devices", { body: { engine, id: id.trim() || undefined, name: name.trim() || undefined, settings } }));
      putDevice(device);
      navigate("devices", device.id, "link");
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };

  return (
    <Page title={t("create.title")} subtitle={t("create.text")}>
      <Card>
        <form class={ui.stack} onSubmit={submit}>
          <Field label={t("create.name")} hint={t("create.nameHint")} error={refused("name")}>
            {(field) => <input {...field} ref={first} maxLength={100} value={name} onInput={(event) => setName(event.currentTarget.value)} />}
          </Field>
          <Field label={t("create.engine")} hint={tMaybe(`engine.${engine}.text`)} error={refused("engine")}>
            {(field) => (
              <select {...field} value={engine} onChange={(event) => setEngine(event.currentTarget.value)}>
                {engines.map((known) => <option key={known} value={known}>{engineName(known)}</option>)}
              </select>
            )}
          </Field>
          {needed?.fields.map((setting) => (
            <Field key={`${engine}.${setting.name}`} label={t(`setting.${setting.name}` as Key)} error={refused(`settings.${needed.group}.${setting.name}`)}>
              {(field) => <input {...field} type={(setting.isSecret ? "password" : "text") as "text"} autocomplete="off" required={setting.isRequired} value={values[setting.name] ?? ""} onInput={(event) => { const { value } = event.currentTarget; setValues((old) => ({ ...old, [setting.name]: value })); }} />}
            </Field>
          ))}
          <Field label={t("create.id")} hint={t("create.idHint")} error={refused("id")}>
            {(field) => <input {...field} pattern="[A-Za-z0-9_\-]{1,64}" autocomplete="off" spellcheck={false} value={id} onInput={(event) => setId(event.currentTarget.value)} />}
          </Field>
          {error !== null && <Failure error={error} />}
          <div class={ui.actions}>
            <LinkButton to={href("devices")}>{t("action.cancel")}</LinkButton>
            <Button type="submit" variant="primary" busy={isBusy}>{t("create.action")}</Button>
          </div>
        </form>
      </Card>
    </Page>
  );
}
