// Node's fetch against a gateway: BASE ID SECRET PATH FOLDER. Prints the status of each request.
import { writeFile } from 'node:fs/promises'

const [base, id, secret, path, out] = process.argv.slice(2)
const firmware = base + '/api/iot/firmware'
const basic = (s) => ({ Authorization: 'Basic ' + Buffer.from(`${id}:${s}`).toString('base64') })
const ask = async (url, options, file) => {
  const answer = await fetch(url, options)
  const body = Buffer.from(await answer.arrayBuffer())
  process.stdout.write(answer.status + ' ')
  if (file) await writeFile(`${out}/${file}`, body)
  return { answer, body }
}

const whole = await ask(firmware, { headers: basic(secret) }, 'whole')
const rest = await ask(firmware, { headers: { ...basic(secret), Range: 'bytes=10000-' } })
await writeFile(`${out}/resumed`, Buffer.concat([whole.body.subarray(0, 10000), rest.body]))
await ask(firmware, { headers: { ...basic(secret), Range: 'bytes=99999999-' } })
await ask(firmware, { headers: { ...basic(secret), 'If-None-Match': whole.answer.headers.get('etag') } })
await ask(firmware, { headers: basic('wrong') })
await ask(base + '/api/iot/manifest.json', { headers: basic(secret) }, 'manifest')
await ask(base + '/api/iot/coredump?chip=esp32c3&firmware_version=1.0.0', { method: 'POST', headers: basic(secret), body: 'a dump by Node' })
await ask(base + path + '/api/iot/firmware', {}, 'below')
