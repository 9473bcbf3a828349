import { computed, signal } from "@preact/signals";
import { type ApiFailure, api, data, type Schemas } from "./client";
import { allows, loadSession } from "./session";
import { type Connection, connect, type LiveEvent } from "./socket";

export type Device = Schemas["Device"];
type DeviceState = Schemas["DeviceState"];

/** The devices of the key by id, `undefined` until loaded. */
export const devices = signal<ReadonlyMap<string, Device> | undefined>(undefined);
export const devicesFailure = signal<ApiFailure | null>(null);
export const deviceList = computed(() => [...(devices.value?.values() ?? [])].sort((a, b) => a.name.localeCompare(b.name) || a.id.localeCompare(b.id)));

const LIVE_REFRESH_MS = 30_000;
const POLL_MS = 3000;
const listeners = new Set<(event: LiveEvent) => void>();
let connection: Connection | undefined;
let isLive = false;
let loadedAt = 0;
let timer: ReturnType<typeof setInterval> | undefined;

/** Calls for each event of `/devices`; returns how to stop. */
export function onFleetEvent(listener: (event: LiveEvent) => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

let isTailing = false;

/** Emits the logged events of all devices too, also after a reconnection; returns how to stop. */
export function tailAll(): () => void {
  isTailing = true;
  connection?.emit("events:tail", {});
  return () => {
    isTailing = false;
    connection?.emit("events:untail", {});
  };
}

export async function loadDevices(): Promise<void> {
  loadedAt = Date.now();
  try {
    const list = await data(api.GET("/api/v1/devices"));
    devices.value = new Map(list.map((device) => [device.id, device]));
    devicesFailure.value = null;
  } catch (error) {
    devicesFailure.value = error as ApiFailure;
  }
}

/** Loads one device again, for example after an action on it. */
export async function loadDevice(id: string): Promise<void> {
  putDevice(await data(api.GET("/api/v1/devices/{id}", { params: { path: { id } } })));
}

export function putDevice(device: Device): void {
  devices.value = new Map(devices.value).set(device.id, device);
}

export function dropDevice(id: string): void {
  const next = new Map(devices.value);
  next.delete(id);
  devices.value = next;
}

const STATUS: Record<DeviceState | "passkey", Device["status"]> = {
  created: "disconnected", stopped: "disconnected", logged_out: "disconnected", reconnecting: "disconnected",
  connecting: "connecting", pairing: "connecting", passkey: "connecting", qr: "qr", ready: "ready", failed: "error",
};

function apply(event: LiveEvent): void {
  if (event.type === "resync" || event.type === "device:created") void loadDevices();
  if (event.type === "device-deleted") dropDevice(event.deviceId);
  const known = devices.value?.get(event.deviceId);
  const state = event.payload.state;
  if (event.type !== "state" || !known || typeof state !== "string" || !(state in STATUS)) return;
  const reason = typeof event.payload.reason === "string" ? event.payload.reason : undefined;
  putDevice({ ...known, state: state as DeviceState, status: STATUS[state as DeviceState], reason });
  // The phone number and name come with the device.
  if (state === "ready") void loadDevice(event.deviceId).catch(() => undefined);
}

/** Keeps the devices current: by events where the key may read them, else by polling. */
export function followFleet(): void {
  if (!allows("devices:read") || timer) return;
  void loadDevices();
  timer = setInterval(() => {
    const isDue = Date.now() - loadedAt > (isLive ? LIVE_REFRESH_MS : POLL_MS);
    if (isDue && document.visibilityState === "visible") void loadDevices();
  }, 1000);
  if (!allows("events:read")) return;
  connection = connect("/devices", {
    onEvent: (event) => {
      apply(event);
      for (const listener of listeners) listener(event);
    },
    onConnection: (isConnected) => {
      if (isConnected && !isLive) {
        void loadDevices();
        // After an interruption the daemon may be another version.
        void loadSession();
        if (isTailing) connection?.emit("events:tail", {});
      }
      isLive = isConnected;
    },
  });
}
