// Majority votes of frames, with an interval that accounts for the correlation of neighbouring frames. As mien.smoothing.voting.

import { TIME_TOLERANCE } from "./time_tolerance.js";

/**
 * @typedef {{ z: number, student: number[], block: number, max_blocks: number, prior: number }} Constants
 * @typedef {{ label: string | null, share: number, low: number, high: number, n: number }} Vote
 * @typedef {{ number: number, votes: number, seconds: number, counts: number[] }} Block
 */

/** Ends of the Wilson score interval. @param {number} share @param {number} n @param {number} z @returns {[number, number]} */
function wilson(share, n, z) {
  if (n <= 0) return [0, 1];
  const zz = (z * z) / n;
  const [centre, half] = [share + zz / 2, z * Math.sqrt((share * (1 - share) + zz / 4) / n)];
  return [
    Math.max(0, Math.min(share, (centre - half) / (1 + zz))),
    Math.min(1, Math.max(share, (centre + half) / (1 + zz))),
  ];
}

export class MajorityVote {
  /** @param {Constants} constants @param {string[]} names @param {number | null} window seconds, null for all time @param {number} voteSeconds */
  constructor(constants, names, window, voteSeconds) {
    this.c = constants;
    this.names = names;
    this.window = window;
    this.voteSeconds = voteSeconds;
    this.block = constants.block;
    this.n = 0;
    this.counts = names.map(() => 0);
    /** @type {{ time: number, label: number, seconds: number }[]} */
    this.votes = [];
    /** @type {Block[]} */
    this.blocks = [];
  }

  /** The vote of one frame, `seconds` after the one before. @param {number} label @param {number} time @param {number} seconds */
  cast(label, time, seconds) {
    const number = Math.floor(time / this.block);
    let block = this.blocks.at(-1);
    if (block?.number !== number) {
      block = { number, votes: 0, seconds: 0, counts: this.names.map(() => 0) };
      this.blocks.push(block);
    }
    block.votes += 1;
    block.seconds += seconds;
    block.counts[label] += 1;
    this.n += 1;
    this.counts[label] += 1;
    if (this.window !== null) this.votes.push({ time, label, seconds });
    else if (this.blocks.length >= this.c.max_blocks) this.#merge();
  }

  /** Removes the votes that have left the window. @param {number} now */
  forget(now) {
    if (this.window === null) return;
    const oldest = now - this.window + TIME_TOLERANCE;
    let gone = 0;
    for (; gone < this.votes.length && this.votes[gone].time <= oldest; gone += 1) {
      const { label, seconds } = this.votes[gone];
      const [block] = this.blocks;
      this.n -= 1;
      this.counts[label] -= 1;
      block.votes -= 1;
      block.seconds -= seconds;
      block.counts[label] -= 1;
      if (!block.votes) this.blocks.shift();
    }
    if (gone) this.votes.splice(0, gone);
  }

  /** @returns {Vote} */
  result() {
    if (!this.n) return { label: null, share: 0, low: 0, high: 1, n: 0 };
    const most = Math.max(...this.counts);
    const winner = this.counts.indexOf(most);
    const share = most / this.n;
    const [low, high] = wilson(share, this.#effective(winner, share), this.c.z);
    return { label: this.names[winner], share, low, high, n: this.n };
  }

  /** Number of independent votes with the same information. @param {number} winner @param {number} share */
  #effective(winner, share) {
    const { z, student, prior } = this.c;
    let [seconds, sizes, squares, joint, deviation, before] = [0, 0, 0, 0, 0, -2];
    for (const block of this.blocks) {
      const last = deviation;
      deviation = block.counts[winner] - share * block.votes;
      squares += deviation * deviation;
      if (block.number === before + 1) joint += last * deviation;
      before = block.number;
      seconds += block.seconds;
      sizes += block.votes * block.votes;
    }
    const number = (this.n * this.n) / sizes;
    let [voteSeconds, trust] = [this.voteSeconds, 0];
    if (number > 1.5) {
      joint = Math.max(joint + squares / (number - 1), 0);
      const estimate = ((squares * number) / (number - 1) + 2 * joint) * (seconds / this.n) ** 2;
      const variance = share * (1 - share) * seconds;
      voteSeconds = (estimate + prior * this.voteSeconds) / (variance + prior);
      trust = variance / (variance + prior);
    }
    const freedom = Math.min(Math.max(Math.round(number - 1), 1), student.length);
    const effective = (seconds / voteSeconds) * (1 - trust + trust * (z / student[freedom - 1]) ** 2);
    return Math.min(Math.max(effective, 1), this.n);
  }

  #merge() {
    this.block *= 2;
    /** @type {Block[]} */
    const merged = [];
    for (const { number, votes, seconds, counts } of this.blocks) {
      const half = Math.floor(number / 2);
      const last = merged.at(-1);
      if (last?.number === half) {
        last.votes += votes;
        last.seconds += seconds;
        last.counts = last.counts.map((count, i) => count + counts[i]);
      } else merged.push({ number: half, votes, seconds, counts: [...counts] });
    }
    this.blocks = merged;
  }
}
