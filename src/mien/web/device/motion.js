// Motion of a face: a Kalman filter whose velocity decays and is renewed by noise. As mien.tracking.motion.

/**
 * @typedef {{ speed: number, memory: number, noise: number }} MotionModel
 * @typedef {[number, number]} Motion value and velocity
 * @typedef {[number, number, number]} Spread variance of the value, covariance, variance of the velocity
 */

/**
 * The prediction step. @param {Motion[]} means quantities that share a covariance @param {Spread} spread
 * @param {number} seconds @param {MotionModel} model @param {number} unit @returns {{ means: Motion[], spread: Spread }}
 */
export function advance(means, [value, cross, velocity], seconds, { speed, memory }, unit) {
  const ratio = seconds / memory;
  const fade = Math.exp(-ratio);
  const reach = -memory * Math.expm1(-ratio);
  const power = (speed * unit) ** 2;
  const wander = Math.max(memory ** 2 * (2 * ratio + 4 * Math.expm1(-ratio) - Math.expm1(-2 * ratio)), 0);
  const both = memory * Math.expm1(-ratio) ** 2;
  const renewed = -Math.expm1(-2 * ratio);
  return {
    means: means.map(([at, pace]) => [at + reach * pace, pace * fade]),
    spread: [
      value + 2 * reach * cross + reach ** 2 * velocity + wander * power,
      fade * (cross + reach * velocity) + both * power,
      fade ** 2 * velocity + renewed * power,
    ],
  };
}

/** The correction step. @param {Motion[]} means @param {Spread} spread @param {number[]} measured @param {number} variance @returns {{ means: Motion[], spread: Spread }} */
export function correct(means, [value, cross, velocity], measured, variance) {
  const total = value + variance;
  return {
    means: means.map(([at, pace], i) => {
      const innovation = measured[i] - at;
      return [at + (value / total) * innovation, pace + (cross / total) * innovation];
    }),
    spread: [(value * variance) / total, (cross * variance) / total, velocity - cross ** 2 / total],
  };
}
