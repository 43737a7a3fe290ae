/** What chats, networks and forums send to draw a preview of a link, by a part of their `User-Agent`. */
const NAMES = [
  'Bluesky Cardyb',
  'BingPreview',
  'Discordbot',
  'Discourse Forum Onebox',
  'Embedly',
  'Facebot',
  // iMessage and LINE say this too.
  'facebookexternalhit',
  'Flipboard',
  'Google-PageRenderer',
  'developers.google.com/+/web/snippet',
  'Iframely',
  'kakaotalk-scrap',
  'LinkedInBot',
  'Mastodon/',
  'Mattermost-Bot',
  'Misskey/',
  'NotionEmbedder',
  'Pinterest',
  'Pleroma',
  'redditbot',
  'Rocket.Chat',
  'SkypeUriPreview',
  'Slackbot',
  'Slack-ImgProxy',
  'Snap URL Preview',
  // Matrix.
  'Synapse (bot',
  'TelegramBot',
  'Tumblr/',
  'Twitterbot',
  'Viber/',
  'vkShare',
  // Signal says this too.
  'WhatsApp/',
  'XING-contenttabreceiver',
  'ZulipURLPreview',
] as const

/** Matches the `User-Agent` of a preview that is known by name. */
export const UNFURLERS = new RegExp(
  NAMES.map((name) => name.replaceAll(/[.+()]/g, (character) => `\\${character}`)).join('|'),
  'i',
)
