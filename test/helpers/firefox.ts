import { readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { run } from './run.js'
import { tempDir } from './temp-dir.js'
import { DEADLINE_MS, until, within } from './within.js'

/** A Firefox without a window, driven by its own protocol (Marionette). */
export interface Firefox {
  open(url: string): Promise<void>
  /** Trusts a certificate authority, given as PEM. */
  trust(pem: string): Promise<void>
  /** Closes the tab, without asking; there is an empty one then. */
  close(): Promise<void>
  /** Clicks the first button of the page that is open. */
  click(): Promise<void>
  /** Runs a script in the page that is open, and gives what it returns. */
  run(script: string): Promise<unknown>
  /** Chooses files in an input of the page. */
  choose(selector: string, paths: readonly string[]): Promise<void>
  /** Clicks the element that an expression gives, as a mouse does, and chooses a folder in the dialog that opens. */
  chooseFolder(element: string, path: string): Promise<void>
  /** Changes a setting (`about:config`), for pages that are opened from now on. */
  set(name: string, value: boolean): Promise<void>
  /** Stops all its processes while `meanwhile` goes on, as a laptop does that sleeps. */
  asleep(meanwhile: () => Promise<void>): Promise<void>
  /** The downloads of this run, as its list shows them. */
  downloads(): Promise<readonly Download[]>
  /** Starts the first download again, as the button in the list does. */
  retry(): Promise<void>
}

export interface Download {
  readonly path: string
  readonly succeeded: boolean
  readonly stopped: boolean
  readonly failed: boolean
}

interface FirefoxOptions {
  readonly acceptInsecureCerts?: boolean
  /** Of its `about:config`. */
  readonly settings?: Readonly<Record<string, boolean | number | string>>
}

const DOWNLOADS = "ChromeUtils.importESModule('resource://gre/modules/Downloads.sys.mjs').Downloads"

/**
 * Starts Debian's Firefox; it saves downloads into `folder` without asking. With `acceptInsecureCerts` it trusts any
 * certificate. It is killed when the test is over.
 */
export async function startFirefox(
  folder: string,
  { acceptInsecureCerts = false, settings: more = {} }: FirefoxOptions = {},
): Promise<Firefox> {
  const profile = await tempDir()
  const port = await freePort()
  const settings = {
    'marionette.port': port,
    'browser.download.folderList': 2,
    'browser.download.dir': folder,
    'browser.shell.checkDefaultBrowser': false,
    'datareporting.policy.dataSubmissionEnabled': false,
    // A name that is not this machine's to a browser: over plain HTTP, that is no secure context.
    'network.dns.localDomains': 'send.test',
    // Its questions can be answered at once.
    'security.dialog_enable_delay': 0,
    ...more,
  }
  const lines = Object.entries(settings).map(
    ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`,
  )
  await writeFile(join(profile, 'user.js'), lines.join(''))
  const flags = ['--headless', '--no-remote', '--marionette', '--remote-allow-system-access']
  const program = await run('firefox', 'firefox-esr', [...flags, '--profile', profile])
  const socket = await until('Firefox listens', () => tryConnect(port), 2 * DEADLINE_MS)
  onTestFinished(() => void socket.destroy())
  const command = speak(socket)
  /** Runs a script with Firefox's own rights. */
  const inside = async (script: string) => {
    await command('Marionette:SetContext', { value: 'chrome' })
    const { value } = await command('WebDriver:ExecuteAsyncScript', {
      script: `const [done] = arguments; (async () => {
        const downloads = await (await ${DOWNLOADS}.getList(${DOWNLOADS}.ALL)).getAll()
        ${script}
      })().then(done, (error) => done(String(error)))`,
      args: [],
    })
    await command('Marionette:SetContext', { value: 'content' })
    return value
  }
  await command('WebDriver:NewSession', { acceptInsecureCerts, unhandledPromptBehavior: 'ignore' })
  return {
    run: async (script) => (await command('WebDriver:ExecuteScript', { script, args: [] })).value,
    choose: async (selector, paths) => {
      const { value } = await command('WebDriver:FindElement', { using: 'css selector', value: selector })
      await command('WebDriver:ElementSendKeys', { id: idIn(value), text: paths.join('\n') })
    },
    chooseFolder: async (element, path) => {
      await inside(pickerOf(path))
      const { value } = await command('WebDriver:ExecuteScript', { script: `return ${element}`, args: [] })
      await command('WebDriver:ElementClick', { id: idIn(value) })
      // While Firefox asks, no command is carried out.
      const isAccepted = () => inside('return window.isUploadAccepted').catch(() => false)
      await until('Firefox has asked whether to upload the folder', isAccepted)
    },
    set: async (name, value) => {
      await inside(`Services.prefs.setBoolPref(${JSON.stringify(name)}, ${value})`)
    },
    trust: async (pem) => {
      const der = pem.replace(/-----[^-]+-----|\s/g, '')
      const said = await inside(
        `Cc['@mozilla.org/security/x509certdb;1'].getService(Ci.nsIX509CertDB).addCertFromBase64('${der}', 'CT,C,C')`,
      )
      if (typeof said === 'string') throw new Error(`Expected Firefox to trust an authority, got ${said}`)
    },
    close: async () => {
      const left = (await command('WebDriver:GetWindowHandle', {})).value
      const { handle } = Object(await command('WebDriver:NewWindow', { type: 'tab', focus: false })) as {
        handle?: unknown
      }
      await command('WebDriver:SwitchToWindow', { handle: left })
      await command('WebDriver:CloseWindow', {})
      await command('WebDriver:SwitchToWindow', { handle })
    },
    open: async (url) => void (await command('WebDriver:Navigate', { url })),
    click: async () => {
      const script = 'document.querySelector("button").click()'
      await command('WebDriver:ExecuteScript', { script, args: [] })
    },
    downloads: async () => {
      const found = await inside(
        'return downloads.map(({ target, succeeded, stopped, error }) => ({ path: target.path, succeeded, stopped, failed: error !== null }))',
      )
      if (!Array.isArray(found)) throw new Error(`Expected Firefox's list of downloads, got ${found}`)
      // What the script above gives.
      return found as Download[]
    },
    asleep: async (meanwhile) => {
      const processes = await treeOf(program.pid)
      const tell = (signal: NodeJS.Signals) => {
        for (const pid of processes) process.kill(pid, signal)
      }
      tell('SIGSTOP')
      try {
        await meanwhile()
      } finally {
        tell('SIGCONT')
      }
    },
    retry: async () => void (await inside('downloads[0].start().catch(() => {})')),
  }
}

/**
 * The system's dialog can't be driven without a window. This stands in for it, once, and gives a folder; then it answers
 * Firefox's own question. All before and after that is Firefox's, as the walk through the folder.
 */
function pickerOf(path: string): string {
  return `
    const registrar = Components.manager.QueryInterface(Ci.nsIComponentRegistrar)
    const contract = '@mozilla.org/filepicker;1'
    const own = registrar.contractIDToCID(contract)
    const id = Services.uuid.generateUUID()
    const factory = {
      createInstance: (wanted) => {
        registrar.unregisterFactory(id, factory)
        registrar.registerFactory(own, '', contract, null)
        const file = Cc['@mozilla.org/file/local;1'].createInstance(Ci.nsIFile)
        file.initWithPath(${JSON.stringify(path)})
        return {
          init: () => {},
          appendFilters: () => {},
          appendFilter: () => {},
          appendRawFilter: () => {},
          open: (callback) => Services.tm.dispatchToMainThread(() => callback.done(Ci.nsIFilePicker.returnOK)),
          file,
          QueryInterface: ChromeUtils.generateQI(['nsIFilePicker']),
        }.QueryInterface(wanted)
      },
      QueryInterface: ChromeUtils.generateQI(['nsIFactory']),
    }
    registrar.registerFactory(id, 'a folder is chosen', contract, factory)
    window.isUploadAccepted = false
    const press = (dialog) => {
      const { button0 } = dialog.Dialog.ui
      // It can be pressed a moment after it is seen.
      if (button0.disabled) return void dialog.setTimeout(press, 20, dialog)
      button0.click()
      window.isUploadAccepted = true
    }
    const observer = (dialog) => {
      Services.obs.removeObserver(observer, 'common-dialog-loaded')
      press(dialog)
    }
    Services.obs.addObserver(observer, 'common-dialog-loaded')`
}

type Command = (name: string, parameters: object) => Promise<{ readonly value?: unknown }>

/** Sends commands as `LENGTH:[0,ID,NAME,PARAMETERS]`, and reads answers as `LENGTH:[1,ID,ERROR,RESULT]`. */
function speak(socket: Socket): Command {
  let unread = Buffer.alloc(0)
  let lastId = 0
  const answers = new Map<number, (answer: readonly unknown[]) => void>()
  socket.on('data', (chunk: Buffer) => {
    unread = Buffer.concat([unread, chunk])
    for (;;) {
      const colon = unread.indexOf(':')
      const end = colon + 1 + Number(unread.subarray(0, colon))
      if (colon < 0 || unread.length < end) return
      const message: unknown = JSON.parse(unread.subarray(colon + 1, end).toString())
      unread = unread.subarray(end)
      // Its first message is no answer, but says who it is.
      if (Array.isArray(message)) answers.get(Number(message[1]))?.(message)
    }
  })
  return async (name, parameters) => {
    const id = ++lastId
    const answer = new Promise<readonly unknown[]>((resolve) => answers.set(id, resolve))
    const text = JSON.stringify([0, id, name, parameters])
    socket.write(`${Buffer.byteLength(text)}:${text}`)
    const [, , error, result] = await within(2 * DEADLINE_MS, `Firefox answers ${name}`, answer)
    if (error !== null) throw new Error(`Firefox refused ${name}: ${JSON.stringify(error)}`)
    // The protocol gives an object, with `value` where the command has a result.
    return (result ?? {}) as { value?: unknown }
  }
}

/** A process and all below it. */
async function treeOf(pid: number): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  const below = await Promise.all(
    children
      .split(' ')
      .filter(Boolean)
      .map((child) => treeOf(Number(child))),
  )
  return [pid, ...below.flat()]
}

/** An element comes as an object with its id in one member. */
function idIn(element: unknown): unknown {
  return Object.values(Object(element))[0]
}

function tryConnect(port: number): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket))
    socket.once('error', () => resolve(undefined))
  })
}

/** Firefox listens on the port that its profile says. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // A server that listens on TCP has this kind of address.
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
