import { useState } from "preact/hooks";
import { api, data, type Schemas } from "../api/client";
import { t } from "../i18n";
import { grouped } from "../lib/grouped";
import { useLoad } from "../lib/hooks";
import { visible } from "../lib/text";
import { Badge, Card, Empty, Failure, Loading, Page, ui } from "../ui/basics";
import css from "./pages.module.css";

type Setting = Schemas["Setting"];

const valueText = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

function Section({ name, settings }: { name: string; settings: Setting[] }) {
  return (
    <Card title={name} flush>
      <ul class={ui.list}>
        {settings.map((setting) => (
          <li key={setting.name} class={css.setting}>
            <code>{setting.name}</code>
            <bdi class={css.settingValue}>{visible(valueText(setting.value)) || t("settings.empty")}</bdi>
            {setting.source === "default" ? <span class={`${ui.muted} ${ui.smallText}`}>{t("settings.default")}</span> : <Badge tone="info"><bdi>{visible(setting.source)}</bdi></Badge>}
          </li>
        ))}
      </ul>
    </Card>
  );
}

/** The settings in effect. They are changed in the file or the environment of the daemon. */
export function Settings() {
  const { data: list, error, reload } = useLoad(() => data(api.GET("/api/v1/settings")), "settings");
  const [query, setQuery] = useState("");
  const [isChanged, setChanged] = useState(false);
  const words = query.trim().toLowerCase();
  const shown = list?.filter((setting) => (!isChanged || setting.source !== "default") && `${setting.name} ${valueText(setting.value)}`.toLowerCase().includes(words)) ?? [];
  const sections = grouped(shown, (setting) => setting.name.split(".")[0]!);
  return (
    <Page title={t("nav.settings")} subtitle={t("settings.text")}>
      {error ? <Failure error={error} retry={reload} /> : null}
      {!list ? !error && <Loading /> : (
        <>
          <div class={css.toolbar}>
            <input class={`${ui.input} ${css.settingsSearch}`} type="search" aria-label={t("settings.search")} placeholder={t("settings.search")} value={query} onInput={(event) => setQuery(event.currentTarget.value)} />
            <label class={ui.check}><input type="checkbox" checked={isChanged} onChange={() => setChanged(!isChanged)} /><span>{t("settings.changedOnly")}</span></label>
          </div>
          {shown.length === 0 ? <Card flush><Empty icon="search" title={t("settings.noneFound")} /></Card> : [...sections].map(([name, settings]) => <Section key={name} name={name} settings={settings} />)}
        </>
      )}
    </Page>
  );
}
