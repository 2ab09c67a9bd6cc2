// Graphile Worker with its local queue and batched completions.
// Source: worker.graphile.org/docs/performance and its own perfTest preset (concurrentJobs 24,
// localQueue size 500, completeJobBatchDelay 0, failJobBatchDelay 0); read 2026-11.
import pg from "pg";
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import { LEGS, handle, measure, produce, say, spec, address, tasks } from "./going.mjs";

const pgPool = new pg.Pool({ ...address, max: 26 });
pgPool.on("error", () => {});
const logger = new Logger(() => () => {});
const preset = { worker: {
  concurrentJobs: 24,
  maxPoolSize: 26,
  pollInterval: 2000,
  localQueue: { size: 500 },
  completeJobBatchDelay: 0,
  failJobBatchDelay: 0,
} };
if (spec.phase === "idle") delete preset.worker.localQueue; // it trades latency for throughput
const utils = await makeWorkerUtils({ pgPool, logger });
if (spec.phase === "produce") {
  await produce((task) => utils.addJob("leg0", task));
  process.exit(0);
}
await utils.migrate();
if (spec.phase !== "idle") {
  let batch = [];
  for (const payload of tasks()) {
    batch.push({ identifier: "leg0", payload });
    if (batch.length === 1000) { await utils.addJobs(batch); batch = []; }
  }
  if (batch.length) await utils.addJobs(batch);
}
await pgPool.query("VACUUM (ANALYZE)"); // as the floor does after filling
const countLeft = async () => {
  const found = await pgPool.query("SELECT count(*)::int AS n FROM graphile_worker._private_jobs");
  return found.rows[0].n;
};
const taskList = {};
for (let leg = 0; leg < LEGS; leg++) {
  taskList[`leg${leg}`] = (task, helpers) =>
    handle(task, (next, payload) => helpers.addJob(`leg${next}`, payload));
}
await run({ preset, pgPool, logger, taskList, noHandleSignals: true });
say(await measure(countLeft));
process.exit(0);
