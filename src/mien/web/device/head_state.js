// What is kept of a track in one head: filtered, voted on and divided into episodes, or pooled. As mien.smoothing.head_state.

import { EpisodeLog } from "./episodes.js";
import { TIME_TOLERANCE } from "./time_tolerance.js";
import { MajorityVote } from "./voting.js";

/**
 * @typedef {import("./pipeline.js").Head} Head
 * @typedef {{ time_constant: number, min_label: number, change_cost: number, margin: number, hold: number, settle: number,
 *   window: number, vote_seconds: number, min_episode: number, bridge: number, half_width: number, look_ahead: number }} Options
 * @typedef {{ filtered: number[] | null, label: number }} Estimate label is -1 for none
 * @typedef {{ smoothing: Options, votes: import("./voting.js").Constants, pooling: { lead: number, min_probability: number },
 *   views: { large: number, min_weight: number } }} Config
 */

/** Weight that an observation still has after so many seconds. @param {number} seconds @param {number} constant */
export const decay = (seconds, constant) => (constant ? Math.exp(-seconds / constant) : 0);

export class NominalState {
  /** @param {Head} head @param {Config} config @param {number} time */
  constructor(head, config, time) {
    this.head = head;
    this.options = config.smoothing;
    const { window, vote_seconds: seconds, min_episode: shortest, bridge } = config.smoothing;
    /** @type {number[] | null} */
    this.filtered = null;
    this.label = -1;
    this.mass = 0;
    this.lastTime = time;
    this.seconds = 0;
    /** @type {number | null} */
    this.behind = null;
    this.held = 0;
    /** @type {number[] | null} */
    this.raw = null;
    this.totals = head.labels.map(() => 0);
    this.totalSeconds = 0;
    this.shares = head.labels.map(() => 0);
    this.window = new MajorityVote(config.votes, head.labels, window, seconds);
    this.allVotes = new MajorityVote(config.votes, head.labels, null, seconds);
    this.log = new EpisodeLog(shortest, bridge);
  }

  /**
   * @param {number} time @param {number} seconds since the previous frame @param {number} kept
   * @param {number[] | null} probabilities @param {Estimate | null} estimate where later frames determine it as well
   */
  addFrame(time, seconds, kept, probabilities, estimate) {
    this.raw = probabilities;
    if (estimate) [this.filtered, this.label] = [estimate.filtered, estimate.label];
    else if (probabilities) {
      this.#filter(time, seconds, kept, probabilities);
      this.#updateLabel(seconds);
    }
    if (probabilities) {
      const winner = probabilities.indexOf(Math.max(...probabilities));
      this.window.cast(winner, time, seconds);
      this.allVotes.cast(winner, time, seconds);
    }
    // without a label the probability does not matter
    this.log.addFrame(this.label, time, this.filtered?.at(this.label) ?? 0);
  }

  /** The length of the last frame with the face, up to the time `end`. @param {number} seconds @param {number} end */
  closeFrame(seconds, end) {
    if (this.raw) {
      const { raw } = this;
      this.totalSeconds += seconds;
      this.totals = this.totals.map((total, i) => total + seconds * raw[i]);
    }
    if (this.label >= 0 && this.filtered) {
      this.shares[this.label] += seconds;
      this.log.closeFrame(this.filtered[this.label], end, seconds);
    }
  }

  /** @param {number} time */
  vote(time) {
    this.window.forget(time);
    return this.window.result();
  }

  /** Over the whole track; null before the first prediction. @param {number} seen seconds */
  summary(seen) {
    const means = this.totalSeconds > 0 ? this.totals.map((total) => total / this.totalSeconds) : this.filtered;
    if (!means) return null;
    return {
      probabilities: means,
      shares: seen > 0 ? this.shares.map((seconds) => seconds / seen) : [],
      vote: this.allVotes.result(),
      episodes: this.log.episodes(),
    };
  }

  /** @param {number} time @param {number} seconds @param {number} kept @param {number[]} probabilities */
  #filter(time, seconds, kept, probabilities) {
    const weight = 1 - kept;
    if (!this.filtered) [this.filtered, this.mass] = [probabilities, weight];
    else {
      const passed = time - this.lastTime;
      this.mass = this.mass * (passed === seconds ? kept : decay(passed, this.options.time_constant)) + weight;
      const gain = weight / this.mass;
      this.filtered = this.filtered.map((p, i) => p + gain * (probabilities[i] - p));
    }
    this.lastTime = time;
    this.seconds += seconds;
  }

  /** @param {number} seconds */
  #updateLabel(seconds) {
    const { settle, margin, hold, min_label: least } = this.options;
    /** @type {number[]} */
    const filtered = this.filtered ?? [];
    const most = Math.max(...filtered);
    const leader = filtered.indexOf(most);
    if (this.label < 0) {
      if (this.seconds >= settle - TIME_TOLERANCE) [this.label, this.held] = [leader, 0];
      return;
    }
    this.held += seconds;
    if (leader === this.label) {
      this.behind = null;
      return;
    }
    this.behind = this.behind === null ? 0 : this.behind + seconds;
    const leads = most - filtered[this.label] >= margin || this.behind >= hold - TIME_TOLERANCE;
    if (leads && this.held >= least - TIME_TOLERANCE) [this.label, this.behind, this.held] = [leader, null, 0];
  }
}

export class OrderedState {
  /** @param {Head} head @param {Config} config */
  constructor(head, config) {
    this.constants = config.pooling;
    /** @type {number[] | null} */
    this.pooled = null;
    this.logs = head.labels.map(() => 0);
    this.weight = 0;
  }

  /** @param {number[]} probabilities @param {number} weight */
  addFrame(probabilities, weight) {
    const { lead, min_probability: least } = this.constants;
    this.weight += weight;
    this.logs = this.logs.map((total, i) => total + weight * Math.log(Math.max(probabilities[i], least)));
    const means = this.logs.map((total) => total / this.weight);
    const most = Math.max(...means);
    const odds = means.map((mean) => Math.exp(mean - most));
    const whole = odds.reduce((sum, value) => sum + value, 0);
    const pooled = odds.map((value) => value / whole);
    const label = this.pooled ? this.pooled.indexOf(Math.max(...this.pooled)) : 0;
    const ahead = Math.max(...pooled) - pooled[label];
    if (!this.pooled || ahead === 0 || ahead >= lead) this.pooled = pooled;
  }

  summary() {
    return this.pooled && { probabilities: this.pooled };
  }
}
