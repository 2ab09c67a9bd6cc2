// What the peers' processes on node share: the phases, told in a peer's own verbs.
import { setTimeout as sleep } from "node:timers/promises";

export const LEGS = 5;
const POLL_MS = 5;
const X18 = "x".repeat(18);
export const PAD = { field_0: X18, field_1: X18, field_2: X18, field_3: X18, field_4: X18 };
export const spec = JSON.parse(process.argv[2]);
export const address = {
  host: spec.host, port: spec.port, user: spec.user, password: spec.password, database: spec.database,
};
export const say = (found) => process.stdout.write(JSON.stringify(found) + "\n");
const nowNs = () => Number(process.hrtime.bigint());
const isChain = spec.phase === "chain";

const times = new Uint8Array(spec.jobs);
const hops = new Int32Array(spec.items);
const waitsMs = [];
const faults = [];
let handled = 0;
let isOver = false;

export async function handle(task, enqueue) {
  if (task.sent_ns) waitsMs.push((nowNs() - task.sent_ns) / 1e6);
  handled += 1;
  if (!isChain) { times[task.n] += 1; return; }
  const { n, hop } = task;
  if (hops[n] !== hop) faults.push(`hop ${hop} of item ${n} came after ${hops[n]} hops`);
  hops[n] = hop + 1;
  if (!(isOver && (hop + 1) % LEGS === 0)) {
    await enqueue((hop + 1) % LEGS, { n, hop: hop + 1, ...PAD });
  }
}

export function* tasks() {
  const count = isChain ? spec.items : spec.jobs;
  for (let n = 0; n < count; n++) yield isChain ? { n, hop: 0, ...PAD } : { n, ...PAD };
}

export async function measure(countLeft) {
  const began = performance.now();
  const spent = () => (performance.now() - began) / 1000;
  if (spec.phase === "idle") return idle(countLeft);
  if (isChain) {
    await sleep(spec.seconds * 1000);
    isOver = true;
    while ((await countLeft()) > 0 && spent() < spec.cut_seconds) await sleep(POLL_MS);
    const seconds = spent();
    const made = hops.reduce((sum, each) => sum + each, 0);
    return { per_s: made / seconds, jobs: made, seconds, faults: faults.slice(0, 3) };
  }
  while (handled < spec.jobs && spent() < spec.cut_seconds) await sleep(POLL_MS);
  let left = await countLeft();
  while (left > 0 && spent() < spec.cut_seconds) { await sleep(POLL_MS); left = await countLeft(); }
  const seconds = spent();
  if (times.some((each) => each > 1)) faults.push("a handler ran twice");
  return { per_s: (spec.jobs - left) / seconds, jobs: spec.jobs - left, seconds, faults };
}

async function idle(countLeft) {
  await sleep(1000);
  say({ ready: true });
  const endAt = performance.now() + 60_000;
  while (handled < spec.jobs && performance.now() < endAt) await sleep(POLL_MS);
  while ((await countLeft()) > 0 && performance.now() < endAt) await sleep(POLL_MS);
  if (handled !== spec.jobs) faults.push(`${handled} of ${spec.jobs} jobs arrived`);
  const ordered = waitsMs.sort((a, b) => a - b);
  const at = (share) => ordered[Math.min(ordered.length - 1, Math.floor(ordered.length * share))];
  return { p50: at(0.5), p99: at(0.99), faults };
}

export async function produce(enqueue) {
  for (let n = 0; n < spec.jobs; n++) {
    await sleep(10 + Math.random() * 30);
    await enqueue({ n, sent_ns: nowNs(), ...PAD });
  }
  say({ faults: [] });
}
