// Outlines on a 24 px grid.
const paths = {
  overview: "M4 13h6V4H4zM14 20h6v-9h-6zM4 20h6v-3H4zM14 7h6V4h-6z",
  devices: "M8 3h8a2 2 0 0 1 2 2v14a2 2 0 0 1-2 2H8a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2zM11 18h2",
  chats: "M4 5h16v11H9l-5 4zM8 9h8M8 12h5",
  queue: "M4 6h16M4 12h10M4 18h7M17 14v6M14 17l3 3 3-3",
  webhooks: "M9 8a3 3 0 1 1 4.5 2.6L16 15M7 18a3 3 0 1 1-1-4.5M17 20a3 3 0 1 0-2-5.2M13.5 16H8.5M11 10l-3 5",
  notifications: "M6 16V11a6 6 0 1 1 12 0v5l2 2H4zM10 21h4",
  events: "M4 12h3l3-7 4 14 3-7h3",
  keys: "M14 10a4 4 0 1 0-3.6 4L12 15.6V18h2.5v2.5H18v-3.2L13.6 13A4 4 0 0 0 14 10zM9 9h.01",
  settings: "M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM12 3v3M12 18v3M3 12h3M18 12h3M5.6 5.6l2.2 2.2M16.2 16.2l2.2 2.2M18.4 5.6l-2.2 2.2M7.8 16.2l-2.2 2.2",
  search: "M11 5a6 6 0 1 0 0 12 6 6 0 0 0 0-12zM20 20l-4.5-4.5",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  back: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  more: "M12 5h.01M12 12h.01M12 19h.01",
  send: "M4 12l16-8-6 16-3-6z",
  attach: "M19 11l-7.5 7.5a4.5 4.5 0 0 1-6.4-6.4L13 4.3a3 3 0 0 1 4.3 4.3L9.6 16.2a1.5 1.5 0 0 1-2.2-2.1L14 7.6",
  reply: "M10 6L4 12l6 6M4 12h9a7 7 0 0 1 7 7",
  smile: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM9 10h.01M15 10h.01M8.5 14a4 4 0 0 0 7 0",
  copy: "M9 9h10v11H9zM5 15V4h10",
  check: "M5 13l4 4L19 7",
  down: "M6 9l6 6 6-6",
  pin: "M9 4h6l-1 6 3 3v2H7v-2l3-3zM12 15v5",
  muted: "M6 16V11a6 6 0 0 1 9-5.2M18 11v5l2 2H8M4 4l16 16",
  refresh: "M19 12a7 7 0 1 1-2-5l2 2M19 4v5h-5",
  warning: "M12 4l9 16H3zM12 10v4M12 17h.01",
  info: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 11v5M12 8h.01",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6L7 7M17 17l1.4 1.4M18.4 5.6L17 7M7 17l-1.4 1.4",
  signOut: "M10 5H5v14h5M14 8l4 4-4 4M18 12H9",
  file: "M7 3h7l4 4v14H7zM14 3v4h4",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  edit: "M5 19h3L19 8l-3-3L5 16z",
  star: "M12 4l2.5 5.2 5.5.8-4 4 1 5.6-5-2.7-5 2.7 1-5.6-4-4 5.5-.8z",
  forward: "M14 6l6 6-6 6M20 12h-9a7 7 0 0 0-7 7",
  location: "M12 21s7-6.2 7-11a7 7 0 1 0-14 0c0 4.8 7 11 7 11zM12 8a2 2 0 1 0 0 4 2 2 0 0 0 0-4z",
  person: "M12 4a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM4 21a8 8 0 0 1 16 0",
  group: "M9 5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7zM2.5 20a6.5 6.5 0 0 1 13 0M16 5.5a3.5 3.5 0 0 1 0 6M18 14.5a6.5 6.5 0 0 1 3.5 5.5",
  clock: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 8v4l3 2",
  menu: "M4 7h16M4 12h16M4 17h16",
  pause: "M8 5v14M16 5v14",
  poll: "M5 20V11M12 20V4M19 20v-6",
  play: "M8 5l11 7-11 7z",
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name, size = 20 }: { name: IconName; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}

/** One tick, two ticks, or two coloured ticks. */
export function Tick({ double }: { double: boolean }) {
  return (
    <svg width={double ? 18 : 13} height="11" viewBox={double ? "0 0 18 11" : "0 0 13 11"} fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d={double ? "M1 6l3.5 3.5L12 1.5M8.5 9.2l.3.3L16.5 1.5" : "M1 6l3.5 3.5L12 1.5"} />
    </svg>
  );
}
