// The same two routes with Fastify and pg: a schema for the body and the path, a hook for the
// token, named (prepared) statements, a pool of 16. Source: fastify.dev, node-postgres.com.
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import Fastify from "fastify";
import pg from "pg";

const spec = JSON.parse(process.argv[2]);
const token = Buffer.from(`Bearer ${spec.token}`);
const pool = new pg.Pool({
  host: spec.host, port: spec.port, user: spec.user, password: spec.password,
  database: spec.database, max: 16,
});
const app = Fastify({ logger: false });

function newId() {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function companyId(domain) {
  const space = Buffer.from("6ba7b8109dad11d180b400c04fd430c8", "hex");
  const bytes = createHash("sha1").update(space).update(domain).digest().subarray(0, 16);
  bytes[6] = (bytes[6] & 0x0f) | 0x50;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

app.addHook("onRequest", async (request, reply) => {
  const given = Buffer.from(request.headers.authorization ?? "");
  if (given.length !== token.length || !timingSafeEqual(given, token)) {
    return reply.code(401).send();
  }
});

app.get("/v1/leads/:leadId", {
  schema: { params: { type: "object", properties: { leadId: { type: "string", format: "uuid" } } } },
}, async (request, reply) => {
  const found = await pool.query({
    name: "show", text: spec.show_lead, values: [request.params.leadId], rowMode: "array",
  });
  if (!found.rows.length) return reply.code(404).send();
  return reply.type("application/json").send(found.rows[0][0]);
});

app.post("/v1/leads", {
  schema: {
    body: {
      type: "object",
      additionalProperties: false,
      required: ["email", "fullName", "title", "country", "icpId"],
      properties: {
        email: { type: "string", format: "email" },
        fullName: { type: "string" },
        title: { type: "string" },
        country: { type: "string" },
        icpId: { type: "string", format: "uuid" },
        providers: { type: "array", items: { type: "string" } },
      },
    },
  },
}, async (request, reply) => {
  const lead = request.body;
  const email = lead.email.trim().toLowerCase();
  const domain = email.split("@")[1];
  const made = { leadId: newId(), jobId: newId(), runId: newId() };
  const values = {
    email, full_name: lead.fullName, title: lead.title, country: lead.country,
    company_domain: domain,
  };
  const given = {
    lead_id: made.leadId, run_id: made.runId, job_id: made.jobId, event_id: newId(),
    company_id: companyId(domain), email, domain,
    full_name: lead.fullName, title: lead.title, country: lead.country,
    words: [...new Set([
      ...lead.fullName.toLowerCase().split(" "), ...lead.title.toLowerCase().split(" "), email,
    ])],
    name_key: `${lead.fullName.toLowerCase()}|${domain}`,
    now: new Date(),
    evidence: createHash("sha256").update(JSON.stringify(lead)).digest(),
    value_ids: Object.keys(values).map(newId),
    fields: Object.keys(values),
    values: Object.values(values).map((value) => JSON.stringify(value)),
    payload: JSON.stringify({ type: "leads.lead.created", lead_id: made.leadId, icp_id: lead.icpId }),
    job_key: `enrichment.run:${made.runId}:${made.leadId}`,
  };
  const done = await pool.query({
    name: "add", text: spec.add_lead, values: spec.add_lead_names.map((name) => given[name]),
  });
  if (!done.rows.length) return reply.code(409).send();
  return reply.code(201).send(made);
});

await app.listen({ host: "127.0.0.1", port: 0 });
process.stdout.write(JSON.stringify({ port: app.server.address().port }) + "\n");
