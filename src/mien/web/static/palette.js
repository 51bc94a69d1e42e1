// Colours that do not come from the server.

/** A face without a label, as in the annotated pictures (mien.draw.palette), which a test compares. */
export const PLAIN = "#ebebeb";

/** Black or white: what is read better on a colour "#rrggbb". */
export function textColourOn(colour) {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const value = parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#14181b" : "#ffffff";
}
