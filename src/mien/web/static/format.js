// Numbers as people read them.

const number = new Intl.NumberFormat("en");

/** 0.123 → "12 %"; small shares keep one digit. */
export const percent = (share) =>
  share >= 0.0995 || share < 0.0005 ? `${Math.round(100 * share)} %` : `${(100 * share).toFixed(1)} %`;

/** Seconds → "1:02.3", or "1:02" without tenths. */
export function clock(seconds, tenths = true) {
  const whole = tenths ? Math.round(Math.max(seconds, 0) * 10) / 10 : Math.floor(Math.max(seconds, 0));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const rest = (whole % 60).toFixed(tenths ? 1 : 0).padStart(tenths ? 4 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** Seconds → "0.8 s", "42 s", "3 min 5 s", "2 h 10 min". */
export function duration(seconds) {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return whole % 60 ? `${minutes} min ${whole % 60} s` : `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Bytes → "20 MB". */
export function byteSize(bytes) {
  if (bytes < 1024) return `${bytes} bytes`;
  const units = ["KB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = -1;
  while (value >= 1023.5 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value < 9.95 && value % 1 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** Pixels → "24 megapixels". */
export const megapixels = (pixels) => `${pixels < 9.95e6 ? (pixels / 1e6).toFixed(1) : Math.round(pixels / 1e6)} megapixels`;

/** 3, "face" → "3 faces". */
export const count = (n, noun, plural = `${noun}s`) => `${number.format(n)} ${n === 1 ? noun : plural}`;

/** A lower-case text as a sentence. */
export const sentence = (text) => capitalize(text) + (/[.!?]$/.test(text) ? "" : ".");

/** "age" → "Age". */
export const capitalize = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** A label for people: ranges with an en dash, "20-29" → "20–29"; others as they are. */
export const labelText = (label) => (label ?? "").replace(/^(\d+)-(\d+)$/, "$1–$2");

/** A file's name without its suffix, for names of downloads. */
export const stem = (name) => name.replace(/\.[^.]{1,5}$/, "") || "mien";
