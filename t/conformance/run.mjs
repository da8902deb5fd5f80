/*
 * Copyright (C) The Optcache authors
 */

/*
 * Runs the public tests of HTTP caches: their server and their client are in
 * this process, on loopback, with an nginx of ours between them.
 *
 *     run.mjs SUITE BUILD [TEST-ID ...]
 *
 * SUITE is where the package is installed, or a checkout of the tests.
 *
 * Prints a line for each test:
 *
 *     pass|FAIL|allow KIND ID [reason]
 *
 * KIND is what the suite says of it: "required" by the RFC, "optimal" is what
 * a good cache does as well, "check" only asks what a cache does.  "moot"
 * follows the id of a test that passes while one fails that it builds upon.
 */

import { spawn } from 'child_process'
import fs from 'fs'
import http from 'http'
import net from 'net'
import os from 'os'
import path from 'path'
import { createRequire } from 'module'
import { pathToFileURL } from 'url'

const [suite, build, ...only] = process.argv.slice(2)
const here = path.dirname(new URL(import.meta.url).pathname)
const kinds = ['required', 'optimal', 'check']

/* where a checkout has what is in the package's own directory */
const engine = fs.existsSync(path.join(suite, 'test-engine')) ? 'test-engine/'
  : ''


async function main () {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'optcache-conformance.'))
  let origin, nginx

  process.on('exit', () => {
    if (nginx) nginx.kill('SIGTERM')
    fs.rmSync(dir, { recursive: true, force: true })
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => process.exit(1))
  }

  const tests = await load()

  origin = await startOrigin(dir)
  const port = await freePort()

  nginx = startNginx(dir, port, origin.address().port)
  await listening(port, nginx, dir)

  const results = await run(tests, `http://127.0.0.1:${port}`)
  const failed = report(tests, results)

  failed.push(...await stop(nginx, dir))
  nginx = null
  origin.close()

  for (const text of failed) console.info(`failed: ${text}`)
  process.exit(failed.length ? 1 : 0)
}


async function load () {
  const all = [...(await part('tests/index.mjs')).default]

  if (engine === '') {
    all.push((await part('tests/surrogate-control.mjs')).default)
  }

  const tests = all.flatMap(set => set.tests).filter(t => !t.browser_only)

  for (const id of only) {
    if (!tests.some(t => t.id === id)) throw new Error(`no test "${id}"`)
  }

  for (const t of tests) t.kind ||= 'required'

  return only.length ? tests.filter(t => only.includes(t.id)) : tests
}


function part (file) {
  return import(pathToFileURL(path.join(suite, file)))
}


/* The suite's own server would listen on all addresses. */

async function startOrigin (dir) {
  const log = fs.createWriteStream(path.join(dir, 'origin.log'))
  const handlers = {
    config: (await part(`${engine}server/handle-config.mjs`)).default,
    state: (await part(`${engine}server/handle-state.mjs`)).default,
    test: (await part(`${engine}server/handle-test.mjs`)).default
  }

  /* it tells of itself what is no result */
  console.info = text => process.stdout.write(`${text}\n`)
  console.log = only.length ? console.info : text => log.write(`${text}\n`)

  const server = http.createServer((request, response) => {
    const segments = request.url.replace(/\?.*/, '').split('/').slice(1)
    const handler = handlers[segments.shift()]

    if (handler) {
      handler(segments, request, response)
    } else {
      response.writeHead(404).end()
    }
  })

  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))

  return server
}


async function freePort () {
  const server = net.createServer()

  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  const port = server.address().port
  await new Promise(resolve => server.close(resolve))

  return port
}


function startNginx (dir, port, origin) {
  const user = process.getuid() === 0 ? 'user root;' : ''
  const values = {
    BUILD: build, DIR: dir, PORT: port, ORIGIN: origin, USER: user
  }
  const conf = fs.readFileSync(path.join(here, 'nginx.conf'), 'utf8')
    .replace(/@([A-Z]+)@/g, (all, name) => values[name])

  fs.writeFileSync(path.join(dir, 'nginx.conf'), conf)

  return spawn(process.env.NGINX_BINARY || 'nginx',
    ['-p', dir, '-c', path.join(dir, 'nginx.conf'), '-e', 'error.log'],
    { stdio: ['ignore', 'inherit', 'inherit'] })
}


async function listening (port, nginx, dir) {
  let gone

  nginx.on('error', error => { gone = error.message })
  nginx.on('exit', code => { gone = `nginx ended with ${code}` })

  for (let i = 0; i < 100; i++) {
    if (gone) throw new Error(gone)

    const open = await new Promise(resolve => {
      const c = net.connect(port, '127.0.0.1')
      c.on('connect', () => { c.destroy(); resolve(true) })
      c.on('error', () => resolve(false))
    })

    if (open) return
    await new Promise(resolve => setTimeout(resolve, 100))
  }

  throw new Error(`nginx does not listen; see ${dir}`)
}


/*
 * The package brings a fetch(); a checkout uses node's, and an undici of its
 * own that has to be there first.
 */

async function run (tests, base) {
  const brought = await installed(engine === '' ? 'node-fetch' : 'undici')
  const { runTests, getResults } = await part(`${engine}client/runner.mjs`)
  const fetch = engine === '' ? brought.default : globalThis.fetch

  if (only.length) for (const t of tests) t.dump = true
  await runTests([{ tests }], ...(runTests.length > 3 ? [fetch] : []), false,
    base)

  return getResults()
}


async function installed (name) {
  const { resolve } = createRequire(path.join(suite, 'package.json'))

  try {
    return await import(pathToFileURL(resolve(name)))
  } catch {
    return undefined
  }
}


function report (tests, results) {
  const allowed = readAllowed()
  const byId = new Map(tests.map(t => [t.id, t]))
  const count = {}
  const failed = []

  const passed = id => results[id] === true
  const moot = t => (t.depends_on || []).some(id => byId.has(id) &&
    (!passed(id) || moot(byId.get(id))))

  for (const kind of kinds) {
    const n = count[kind] = { pass: 0, all: 0, moot: 0 }

    for (const t of tests.filter(each => each.kind === kind)) {
      n.all++

      if (passed(t.id)) {
        n.pass++
        n.moot += moot(t)
        console.info(`pass  ${kind} ${t.id}${moot(t) ? ' (moot)' : ''}`)
        continue
      }

      const may = kind === 'required' && allowed.has(t.id)

      console.info(`${may ? 'allow' : 'FAIL '} ${kind} ${t.id}: ` +
        (may ? allowed.get(t.id) : results[t.id].join(': ')))

      if (kind === 'required' && !may) failed.push(t.id)
    }
  }

  for (const id of allowed.keys()) {
    if (passed(id)) console.info(`passes, though allowed to fail: ${id}`)
  }

  for (const kind of kinds) {
    const { pass, all, moot } = count[kind]
    console.info(`${kind}: ${pass} of ${all} pass, ${moot} of these are moot`)
  }

  return failed
}


function readAllowed () {
  const text = fs.readFileSync(path.join(here, 'allow.txt'), 'utf8')

  return new Map(text.split('\n').map(line => line.match(/^([^#\s]\S*)\s+(\S.*)$/))
    .filter(m => m).map(m => [m[1], m[2]]))
}


/* What nginx complains of is a failure too. */

async function stop (nginx, dir) {
  const gone = new Promise(resolve => nginx.on('exit', resolve))

  nginx.kill('SIGQUIT')
  const timer = setTimeout(() => nginx.kill('SIGTERM'), 5000)
  await gone
  clearTimeout(timer)

  return fs.readFileSync(path.join(dir, 'error.log'), 'utf8').split('\n')
    .filter(line => /\[(alert|emerg)\]|exited on signal/.test(line))
}


main().catch(error => {
  process.stderr.write(`conformance: ${error.message}\n`)
  process.exit(1)
})
