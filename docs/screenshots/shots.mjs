// Looks at the Temporal UI of a running `schedules dev` with Chromium: waits for the texts that each page has
// to show, fails where one is missing, and with --out writes a picture of each. cmd/ui_test.go starts the
// project, makes the trouble and runs this; so does `make screenshots`.
import { parseArgs } from 'node:util'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const { values: options } = parseArgs({
  options: {
    ui: { type: 'string' }, // such as http://127.0.0.1:8233
    stage: { type: 'string' }, // in-sync or trouble
    revision: { type: 'string' },
    run: { type: 'string' }, // the workflow ID of a run of heartbeat
    chromium: { type: 'string', default: '/usr/bin/chromium' },
    timeout: { type: 'string', default: '60' }, // seconds that a page has to show its texts
    out: { type: 'string' },
  },
})

const reconciler = '/workflows/schedule-reconciler-quickstart'

// The pages of each stage: where one is, the tab and the button to press, what it has to show, and where its
// picture ends: below the last element that `to` finds.
const stages = {
  'in-sync': [
    {
      name: 'reconciler-in-sync',
      path: reconciler,
      tab: 'User Metadata',
      texts: [
        'Keeps the schedules of project quickstart equal to its YAML',
        'quickstart: in sync',
        `revision: ${options.revision}`,
        'schedules: 5 in the YAML, 5 found in Temporal, 1 paused',
        /last pass: (start: 5|resync: 0) created, 0 updated, 0 deleted/,
        'last audit: 5 schedules, 0 changed by hand',
      ],
      to: 'text="Started"',
    },
    {
      name: 'schedules',
      path: '/schedules',
      texts: [
        '5 Schedules',
        ...['daily-report', 'heartbeat', 'invoice-reminder', 'price-refresh', 'warehouse-sync'].map(
          (id) => `schedule-quickstart-${id}`),
        'Paused',
        'DailyReport',
      ],
      to: 'table tr',
    },
    {
      name: 'run-memo',
      path: `/workflows/${encodeURIComponent(options.run)}`,
      tab: 'Memo',
      texts: [
        '"managed_by": "compozy-schedules"',
        '"project": "quickstart"',
        '"workflow_id": "heartbeat"',
        '"schedule_id": "schedule-quickstart-heartbeat"',
        `"revision": "${options.revision}"`,
      ],
      to: '.cm-content',
    },
  ],
  trouble: [
    {
      name: 'reconciler-out-of-sync',
      path: reconciler,
      tab: 'User Metadata',
      texts: [
        'quickstart: out of sync',
        '1 of 5 schedules are not as the YAML says',
        'schedules: 5 in the YAML, 5 found in Temporal, 2 paused',
        'Problems workflow problem price-refresh drift: changed by hand in Temporal: jitter',
        'Overrides workflow override by why until daily-report pause anonymous the warehouse is moving 20',
      ],
      to: 'text="next resync"',
    },
    {
      name: 'history',
      path: reconciler,
      tab: 'History',
      texts: [
        `compare with revision ${options.revision}`,
        'upsert 5 schedules: daily-report … warehouse-sync',
        `audit every field of revision ${options.revision}`,
        'pause daily-report',
        'next resync',
        'next audit',
        'an override expires',
      ],
      press: 'Minimized', // shows all of the timeline
      to: 'svg:has-text("Upsert")',
    },
    {
      name: 'schedule-paused',
      path: '/schedules/schedule-quickstart-daily-report',
      texts: ['schedule-quickstart-daily-report', 'Paused', /Paused by anonymous until \S+: the warehouse is moving/],
      to: 'text=/Paused by anonymous/',
    },
  ],
}

// A page asks the reconciler once, and the server may lose the query: docs/temporal.md, "Lost queries".
const reloadAfter = 15_000 // ms
const width = 1280
const tall = 2000 // above every page here, so that a picture is cut and never scrolled

// missing says which texts a page does not show, in itself or in the frames that show Markdown.
async function missing(page, texts) {
  let shown = ''
  for (const frame of page.frames()) {
    shown += ' ' + (await frame.locator('body').innerText({ timeout: 1000 }).catch(() => '')) // while it loads
  }
  shown = shown.replace(/\s+/g, ' ')
  return texts.filter((text) => (text instanceof RegExp ? !text.test(shown) : !shown.includes(text)))
}

async function open(page, shot) {
  await page.goto(`${options.ui}/namespaces/default${shot.path}`, { waitUntil: 'domcontentloaded' })
  if (shot.tab) {
    await page.getByRole('link', { name: shot.tab }).or(page.getByRole('tab', { name: shot.tab })).first().click()
  }
  if (shot.press) {
    await page.getByRole('button', { name: shot.press }).click()
    await page.mouse.move(640, 60) // off the button, whose hint would cover the page
  }
}

async function look(page, shot) {
  await open(page, shot)
  const deadline = Date.now() + Number(options.timeout) * 1000
  let reload = Date.now() + reloadAfter
  for (let left = shot.texts; (left = await missing(page, left)).length > 0; ) {
    if (Date.now() > deadline) {
      throw new Error(`${shot.name}: ${page.url()} does not show ${left.join(' | ')}`)
    }
    await page.waitForTimeout(200)
    if (Date.now() > reload) {
      await open(page, shot)
      left = shot.texts
      reload = Date.now() + reloadAfter
    }
  }
  if (options.out) {
    const box = await page.locator(shot.to).last().boundingBox()
    const height = Math.min(tall, Math.ceil(box.y + box.height) + 8)
    await page.screenshot({ path: join(options.out, `${shot.name}.png`), clip: { x: 0, y: 0, width, height } })
  }
  console.log(`${shot.name}: ${shot.texts.length} texts`)
}

const browser = await chromium.launch({
  executablePath: options.chromium,
  // Root has no sandbox, and the only page is our own. The others keep Chromium from calling its makers.
  args: ['--no-sandbox', '--disable-quic', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})
try {
  const page = await browser.newPage({ viewport: { width, height: tall } })
  page.setDefaultTimeout(60_000)
  for (const shot of stages[options.stage]) {
    await look(page, shot)
  }
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
} finally {
  await browser.close()
}
