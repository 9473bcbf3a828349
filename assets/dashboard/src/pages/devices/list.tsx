import { memo } from "preact/compat";
import { useMemo, useRef, useState } from "preact/hooks";
import { Virtualizer } from "virtua";
import { type Device, deviceList, devices, devicesFailure, loadDevices } from "../../api/fleet";
import { waitsForPasskey } from "../../api/passkey";
import { allows } from "../../api/session";
import { ago, type Key, t, tn } from "../../i18n";
import { deviceActions } from "../../lib/device_actions";
import { engineName, linkingAdvice, phone, reasonWords, stateName, stateTone } from "../../lib/device_words";
import { moveFocus } from "../../lib/list_keys";
import { href } from "../../lib/router";
import { Avatar, Badge, Card, Empty, Failure, LinkButton, Loading, Name, Page, ui } from "../../ui/basics";
import { Menu } from "../../ui/dialog";
import css from "./devices.module.css";

const FILTERS = ["all", "ready", "attention", "off"] as const;
type Filter = (typeof FILTERS)[number];

function passes(device: Device, filter: Filter): boolean {
  if (filter === "all") return true;
  if (filter === "ready") return device.state === "ready";
  const isOff = device.state === "stopped" || device.state === "created";
  return filter === "off" ? isOff : !isOff && device.state !== "ready";
}

function target(device: Device): string {
  return device.state === "qr" || device.state === "pairing" || waitsForPasskey(device) ? href("devices", device.id, "link") : href("devices", device.id);
}

const Row = memo(function Row({ device, at, count }: { device: Device; at: number; count: number }) {
  const reason = device.state === "ready" ? undefined : reasonWords(device.reason);
  return (
    <div role="listitem" aria-setsize={count} aria-posinset={at + 1} class={css.row} data-device={device.id}>
      <a class={css.link} href={target(device)} data-row>
        <Avatar name={device.name} id={device.id} />
        <span class={css.cell}><span class={css.name}><Name>{device.name}</Name></span><br /><span class={css.sub}>{device.phoneNumber ? phone(device.phoneNumber) : device.id}</span></span>
        <span class={css.cell}>
          <Badge tone={stateTone(device.state)}>{stateName(device.state)}</Badge>
          {reason ? <span class={css.todo}>{reason.what} {reason.todo}</span> : linkingAdvice(device.state) && <span class={css.todo}>{linkingAdvice(device.state)}</span>}
        </span>
        <span class={css.cell}><span class={css.sub}>{engineName(device.engine)}{device.lastSeen ? <><br />{t("device.seen", { when: ago(device.lastSeen) })}</> : null}</span></span>
      </a>
      <Menu label={t("device.actions", { name: device.name })} items={deviceActions(device)} />
    </div>
  );
});

function List({ shown }: { shown: Device[] }) {
  const scroller = useRef<HTMLElement | null>(document.querySelector("main"));
  return (
    <div role="list" onKeyDown={moveFocus} aria-label={t("nav.devices")}>
      <Virtualizer scrollRef={scroller} startMargin={180} itemSize={72}>
        {shown.map((device, at) => <Row key={device.id} device={device} at={at} count={shown.length} />)}
      </Virtualizer>
    </div>
  );
}

export function Devices() {
  const [query, setQuery] = useState("");
  const [filter, setFilter] = useState<Filter>("all");
  const all = deviceList.value;
  const shown = useMemo(() => {
    const words = query.trim().toLowerCase();
    return all.filter((device) => passes(device, filter) && (!words || `${device.name} ${device.id} ${device.phoneNumber ?? ""}`.toLowerCase().includes(words)));
  }, [all, query, filter]);
  const link = allows("devices:write") && <LinkButton to={href("devices", "new")} variant="primary" icon="plus">{t("devices.link")}</LinkButton>;
  const ready = all.filter((device) => device.state === "ready").length;
  return (
    <Page title={t("nav.devices")} subtitle={devices.value && all.length > 0 ? tn("devices.count", all.length, { ready }) : undefined} actions={all.length > 0 && link}>
      {devicesFailure.value && <Failure error={devicesFailure.value} retry={() => void loadDevices()} />}
      {!devices.value ? !devicesFailure.value && <Loading /> : all.length === 0 ? (
        <Card flush><Empty icon="devices" title={t("devices.emptyTitle")} action={link}>{t("devices.emptyText")}</Empty></Card>
      ) : (
        <>
          <div class={css.toolbar}>
            <input class={`${ui.input} ${css.search}`} type="search" aria-label={t("devices.search")} placeholder={t("devices.search")} value={query} onInput={(event) => setQuery(event.currentTarget.value)} />
            <select class={`${ui.input} ${css.filter}`} aria-label={t("devices.filter")} value={filter} onChange={(event) => setFilter(event.currentTarget.value as Filter)}>
              {FILTERS.map((name) => <option key={name} value={name}>{t(`devices.filter.${name}` as Key)}</option>)}
            </select>
          </div>
          <Card flush>{shown.length ? <List shown={shown} /> : <Empty icon="search" title={t("devices.noneFound")} />}</Card>
        </>
      )}
    </Page>
  );
}
