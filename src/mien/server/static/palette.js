// Colours of labels: those of the annotated pictures and timelines (mien.draw.palette), which a test compares.

export const COLOURS = {
  neutral: "#bbbbbb",
  happy: "#f0e442",
  surprise: "#e69f00",
  sad: "#56b4e9",
  angry: "#d55e00",
  disgust: "#009e73",
  fear: "#cc79a7",
  contempt: "#2882c8",
};

/** A face without a label. */
export const PLAIN = "#ebebeb";

/** Black or white: what is read better on a colour "#rrggbb". */
export function textColourOn(colour) {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const value = parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#14181b" : "#ffffff";
}
