// Rows as CSV, by the rules of mien/csv_cells.py: R, pandas and spreadsheets read what was written.

const FORMULA = /^(?:\s*[=+\-@＝＋－＠]|[\t\r\n])/;
const RANGE = /^(\d{1,4})-(\d{1,4})$/;
const DATE = new RegExp(
  String.raw`^(?:\d{1,4}\s?[-/.:]\s?\d{1,4}(?:\s?[-/.:]\s?\d{1,4})?` +
    String.raw`|(?=\D*\d)(?:\d{1,4}[\s./-]?)?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[\s./-]?(?:\d{1,4})?)$`,
  "i",
);

/** One value as a cell; `label` where it is the name of a class. */
export function csvCell(value, label = false) {
  if (value === undefined || value === null) return "";
  if (typeof value === "boolean") return value ? "TRUE" : "FALSE";
  let text = String(value);
  if (typeof value === "string") {
    if (label && RANGE.test(text)) text = text.replace("-", " to ");
    else {
      const bare = text.replace(/^'+/, "");
      if (FORMULA.test(bare) || DATE.test(bare)) text = `'${text}`;
    }
  }
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Rows as the text of a CSV file: `columns` have a name and whether their values are labels. */
export function csvText(columns, rows) {
  const lines = [
    columns.map(({ name }) => csvCell(name)),
    ...rows.map((row) => row.map((value, i) => csvCell(value, columns[i].label))),
  ];
  return lines.map((line) => `${line.join(",")}\r\n`).join("");
}
