// Colours of the labels of one head. As mien.draw.palette.

/**
 * @param {string[]} labels @param {Record<string, string>} known label → its own colour
 * @returns {Record<string, string>} label → "#rrggbb": known labels have their own, others the first free ones
 */
export function labelColours(labels, known) {
  const free = Object.entries(known)
    .filter(([name]) => !labels.includes(name) && name !== "neutral")
    .map(([, colour]) => colour);
  return Object.fromEntries(
    labels.map((label, i) => [label, known[label] ?? free.shift() ?? hue((i * 0.618) % 1)]),
  );
}

/** Lightness and saturation 0.6. @param {number} turn 0 to 1 */
function hue(turn) {
  const [low, high] = [0.36, 0.84];
  const part = (/** @type {number} */ shift) => {
    const at = (((turn + shift) % 1) + 1) % 1;
    if (at < 1 / 6) return low + (high - low) * at * 6;
    if (at < 1 / 2) return high;
    return at < 2 / 3 ? low + (high - low) * (2 / 3 - at) * 6 : low;
  };
  const hex = (/** @type {number} */ value) => Math.round(255 * value).toString(16).padStart(2, "0");
  return `#${hex(part(1 / 3))}${hex(part(0))}${hex(part(-1 / 3))}`;
}
