// pg-boss: several workers, each fetching big batches; completed jobs stay until archived.
// Source: timgit.github.io/pg-boss, "work()" (batchSize; pollingIntervalSeconds 0.5 is the least)
// and "insert()" for filling; read 2026-11.
import PgBoss from "pg-boss";
import pg from "pg";
import { LEGS, handle, measure, produce, say, spec, address, tasks } from "./going.mjs";

// a worker fetches one batch each half second: it takes many workers and big batches to be busy
const isChain = spec.phase === "chain";
const BATCH = isChain ? 1000 : 2500;
const WORKERS = isChain ? 3 : 10;
const boss = new PgBoss({ ...address, max: 20, schedule: false });
boss.on("error", (error) => process.stderr.write(`${error}\n`));
await boss.start();
if (spec.phase === "produce") {
  await produce((task) => boss.send("leg0", task));
  await boss.stop({ graceful: false });
  process.exit(0);
}
for (let leg = 0; leg < LEGS; leg++) await boss.createQueue(`leg${leg}`);
if (spec.phase !== "idle") {
  let batch = [];
  for (const data of tasks()) {
    batch.push({ name: "leg0", data });
    if (batch.length === 2000) { await boss.insert(batch); batch = []; }
  }
  if (batch.length) await boss.insert(batch);
}
const pool = new pg.Pool({ ...address, max: 1 });
await pool.query("VACUUM (ANALYZE)"); // as the floor does after filling
const countLeft = async () => {
  const found = await pool.query("SELECT count(*)::int AS n FROM pgboss.job WHERE state < 'completed'");
  return found.rows[0].n;
};
for (let leg = 0; leg < (isChain ? LEGS : 1); leg++) {
  for (let worker = 0; worker < WORKERS; worker++) {
    await boss.work(`leg${leg}`, { batchSize: BATCH, pollingIntervalSeconds: 0.5 }, go);
  }
}
async function go(jobs) {
  const next = new Map();
  for (const job of jobs) {
    await handle(job.data, async (leg, data) => {
      if (!next.has(leg)) next.set(leg, []);
      next.get(leg).push({ name: `leg${leg}`, data });
    });
  }
  for (const [, batch] of next) await boss.insert(batch);
}
say(await measure(countLeft));
process.exit(0);
