// Optimal assignment of rows to columns: pairs of least total cost. As mien.tracking.assignment.

/**
 * The one-to-one pairs of least total cost; only pairs below 0 are assigned, and who is left alone costs nothing.
 * @param {number[][]} cost rows × columns @returns {[number, number][]} row and column, rows ascending
 */
export function assign(cost) {
  const columns = cost[0]?.length ?? 0;
  const inRow = cost.map((row) => row.filter((value) => value < 0).length);
  const inColumn = Array.from({ length: columns }, (_, j) => cost.filter((row) => row[j] < 0).length);
  /** @type {[number, number][]} */
  const pairs = [];
  /** @type {Set<number>} */
  const left = new Set();
  /** @type {Set<number>} */
  const right = new Set();
  cost.forEach((row, i) =>
    row.forEach((value, j) => {
      if (!(value < 0)) return;
      if (inRow[i] === 1 && inColumn[j] === 1) pairs.push([i, j]);
      else {
        left.add(i);
        right.add(j);
      }
    }),
  );
  // the few rows and columns that compete with others remain
  if (left.size) {
    const rows = [...left].sort((a, b) => a - b);
    const others = [...right].sort((a, b) => a - b);
    const part = rows.map((i) => others.map((j) => (cost[i][j] < 0 ? cost[i][j] : Infinity)));
    if (rows.length <= others.length) for (const [i, j] of solve(part)) pairs.push([rows[i], others[j]]);
    else for (const [j, i] of solve(others.map((_, j) => part.map((row) => row[j])))) pairs.push([rows[i], others[j]]);
  }
  return pairs.sort((a, b) => a[0] - b[0]);
}

/**
 * Optimal pairs by shortest augmenting paths (Jonker and Volgenant 1987); every row has a column of its own that costs 0
 * and stands for no assignment. @param {number[][]} cost @returns {[number, number][]}
 */
function solve(cost) {
  const [n, m] = [cost.length, cost[0].length];
  const wide = cost.map((row, i) => [...row, ...cost.map((_, k) => (k === i ? 0 : Infinity))]);
  const rowPrice = wide.map((row) => Math.min(...row));
  const columnPrice = new Array(n + m).fill(0);
  const owner = new Array(n + m).fill(-1);
  const columnOf = new Array(n).fill(-1);
  wide.forEach((row, i) => {
    const j = row.indexOf(rowPrice[i]);
    if (owner[j] < 0) [owner[j], columnOf[i]] = [i, j];
  });
  for (let start = 0; start < n; start += 1) {
    if (columnOf[start] >= 0) continue;
    const distance = wide[start].map((value, j) => value - rowPrice[start] - columnPrice[j]);
    const via = new Array(n + m).fill(start);
    const reached = new Array(n + m).fill(false);
    let [last, low] = [-1, 0];
    for (;;) {
      last = -1;
      distance.forEach((value, j) => {
        if (!reached[j] && (last < 0 || value < distance[last])) last = j;
      });
      low = distance[last];
      if (owner[last] < 0) break;
      reached[last] = true;
      const row = owner[last];
      wide[row].forEach((value, j) => {
        const other = low + (value - rowPrice[row] - columnPrice[j]);
        if (!reached[j] && other < distance[j]) [distance[j], via[j]] = [other, row];
      });
    }
    rowPrice[start] += low;
    reached.forEach((there, j) => {
      if (!there) return;
      rowPrice[owner[j]] += low - distance[j];
      columnPrice[j] -= low - distance[j];
    });
    for (let j = last; ; ) {
      const i = via[j];
      owner[j] = i;
      [j, columnOf[i]] = [columnOf[i], j];
      if (i === start) break;
    }
  }
  /** @type {[number, number][]} */
  const pairs = [];
  columnOf.forEach((j, i) => {
    if (j < m) pairs.push([i, j]);
  });
  return pairs;
}
