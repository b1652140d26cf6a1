// @ts-check
/**
 * How times, days, sizes and lists of names read. The browser's language decides their form.
 */

const clockFormat = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const dayFormat = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const farDayFormat = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const fullFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const dateFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const DAY_MS = 86_400_000;

/** @param {number} at milliseconds UTC @returns {string} "12:01" */
export function clockTime(at) {
  return clockFormat.format(at);
}

/** @param {number} at @returns {string} "09:01", in any language; for what is copied */
export function plainTime(at) {
  const date = new Date(at);
  return [date.getHours(), date.getMinutes()].map((part) => String(part).padStart(2, "0")).join(":");
}

/** @param {number} at @returns {string} date and time in full */
export function fullTime(at) {
  return fullFormat.format(at);
}

/** @param {number} at @returns {string} "23 Nov 2026" */
export function shortDate(at) {
  return dateFormat.format(at);
}

/** @param {number} at @returns {string} a key that is equal on the same local day */
export function dayKey(at) {
  const date = new Date(at);
  return `${date.getFullYear()}-${date.getMonth() + 1}-${date.getDate()}`;
}

/** @param {number} at @param {number} now @returns {string} "Today", "Yesterday", or the day */
export function dayName(at, now) {
  if (dayKey(at) === dayKey(now)) return "Today";
  if (dayKey(at) === dayKey(now - DAY_MS)) return "Yesterday";
  return (Math.abs(now - at) < 300 * DAY_MS ? dayFormat : farDayFormat).format(at);
}

/** @param {number} bytes @returns {string} "120 kB" */
export function fileSize(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${Math.round(bytes / 1000)} kB`;
  return `${(bytes / 1_000_000).toFixed(bytes < 10_000_000 ? 1 : 0)} MB`;
}

/** @param {number} seconds @returns {string} "4 s", "3 min", "2 h" */
export function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.ceil(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** @param {string[]} names @returns {string} "Alice, Bob and 3 others" */
export function nameList(names) {
  if (names.length <= 1) return names[0] ?? "";
  if (names.length <= 3) return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
  return `${names.slice(0, 2).join(", ")} and ${names.length - 2} others`;
}

/** @param {number} count @param {string} one @param {string} [many] @returns {string} "1 message" */
export function counted(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

/** @param {number} count @returns {string} "99+" beyond 99 */
export function badge(count) {
  return count > 99 ? "99+" : String(count);
}

/** @param {string} name @returns {string} one or two letters for an avatar */
export function initials(name) {
  const words = name.split(/[\s._-]+/u).filter((word) => word !== "");
  const first = [...(words[0] ?? "?")];
  const second = words.length > 1 ? [...(words.at(-1) ?? "")][0] : "";
  return `${first[0] ?? "?"}${second ?? ""}`.toLocaleUpperCase();
}

/** @param {string} id @returns {number} one of the twelve avatar tones, always the same for an id */
export function tone(id) {
  let hash = 0;
  for (let index = 0; index < id.length; index += 1) hash = (hash * 31 + id.charCodeAt(index)) >>> 0;
  return hash % 12;
}
