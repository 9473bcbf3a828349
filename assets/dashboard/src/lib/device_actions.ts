import { api, data } from "../api/client";
import { type Device, dropDevice, putDevice } from "../api/fleet";
import { allows } from "../api/session";
import { t } from "../i18n";
import { attempt, confirmThen, type MenuItem } from "../ui/dialog";
import { href, navigate } from "./router";

const path = (id: string) => ({ params: { path: { id } } });

export async function startDevice(id: string): Promise<void> {
  putDevice(await data(api.POST("/api/v1/devices/{id}/start", path(id))));
}
async function stopDevice(id: string): Promise<void> {
  putDevice(await data(api.POST("/api/v1/devices/{id}/stop", path(id))));
}
async function restartDevice(id: string): Promise<void> {
  putDevice(await data(api.POST("/api/v1/devices/{id}/restart", path(id))));
}
async function logOutDevice(id: string): Promise<void> {
  putDevice(await data(api.POST("/api/v1/devices/{id}/logout", path(id))));
}
async function deleteDevice(id: string): Promise<void> {
  await data(api.DELETE("/api/v1/devices/{id}", path(id)));
  dropDevice(id);
  if (location.hash.startsWith(href("devices", id))) navigate("devices");
}

const isRunning = (device: Device) => !["created", "stopped", "logged_out", "failed"].includes(device.state);
export const isLinked = (device: Device) => ["ready", "reconnecting"].includes(device.state);

/** The actions that make sense in the device's state. */
export function deviceActions(device: Device): MenuItem[] {
  if (!allows("devices:write")) return [];
  const { id, name } = device;
  const items: MenuItem[] = [];
  if (isRunning(device)) {
    items.push({ label: t("device.restart"), icon: "refresh", run: () => void attempt(() => restartDevice(id), t("device.restarted")) });
    items.push({ label: t("device.stop"), icon: "pause", run: () => void attempt(() => stopDevice(id), t("device.stopped")) });
  } else {
    items.push({ label: t("device.start"), icon: "play", run: () => void attempt(() => startDevice(id), t("device.started")) });
  }
  items.push({
    label: t("device.logOut"), icon: "signOut",
    run: () => confirmThen({ title: t("device.logOutTitle", { name }), text: t("device.logOutText"), action: t("device.logOut"), isDangerous: true, run: () => logOutDevice(id) }),
  });
  items.push({
    label: t("device.delete"), icon: "trash", isDangerous: true,
    run: () => confirmThen({ title: t("device.deleteTitle", { name }), text: t("device.deleteText"), action: t("device.delete"), isDangerous: true, run: () => deleteDevice(id) }),
  });
  return items;
}
