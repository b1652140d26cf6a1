// @ts-check
/**
 * Names of emoji, for `:name:` in messages and for completion after `:`.
 * The short names people know from other chats; not the whole of Unicode, which keyboards offer.
 */

const TABLE = `
+1 👍|-1 👎|100 💯|1st 🥇|2nd 🥈|3rd 🥉|alarm ⏰|angry 😠|ant 🐜|apple 🍎|arrow_down ⬇️|arrow_left ⬅️|arrow_right ➡️|arrow_up ⬆️
avocado 🥑|baby 👶|balloon 🎈|banana 🍌|beach 🏖️|bear 🐻|beer 🍺|beers 🍻|bell 🔔|bike 🚲|bird 🐦|birthday 🎂|blue_heart 💙|blush 😊
boat ⛵|bomb 💣|book 📖|books 📚|boom 💥|brain 🧠|bread 🍞|bricks 🧱|broken_heart 💔|bug 🐛|bulb 💡|bus 🚌|butterfly 🦋|cactus 🌵
cake 🍰|calendar 📅|camera 📷|candle 🕯️|car 🚗|cat 🐱|chart 📈|check ✔️|cheese 🧀|cherry 🍒|chicken 🐔|clap 👏|clipboard 📋|clock 🕛
cloud ☁️|clown 🤡|coffee ☕|cold_sweat 😰|computer 💻|confetti 🎊|confused 😕|construction 🚧|cookie 🍪|cool 😎|corn 🌽|cow 🐮|crab 🦀|crown 👑
cry 😢|crystal_ball 🔮|dancer 💃|dart 🎯|deer 🦌|dizzy 💫|dog 🐶|dolphin 🐬|dragon 🐉|droplet 💧|duck 🦆|eagle 🦅|ear 👂|earth 🌍
egg 🥚|elephant 🐘|email 📧|exclamation ❗|eyes 👀|facepalm 🤦|family 👪|fire 🔥|fish 🐟|fist ✊|flag 🚩|flower 🌸|folder 📁|footprints 👣
fork 🍴|fox 🦊|frog 🐸|fries 🍟|frowning 😦|game 🎮|gear ⚙️|gem 💎|ghost 👻|gift 🎁|goat 🐐|grapes 🍇|green_heart 💚|grimacing 😬
grin 😁|grinning 😀|guitar 🎸|hamburger 🍔|hammer 🔨|hamster 🐹|handshake 🤝|hatching 🐣|headphones 🎧|heart ❤️|heart_eyes 😍|hedgehog 🦔|hole 🕳️|honey 🍯
hooray 🎉|horse 🐴|hospital 🏥|hot 🥵|hotdog 🌭|hourglass ⌛|house 🏠|hug 🤗|hundred 💯|ice 🧊|icecream 🍦|idea 💡|info ℹ️|innocent 😇
inbox 📥|joy 😂|key 🔑|kiss 😘|kiwi 🥝|koala 🐨|laptop 💻|laughing 😆|leaf 🍃|lemon 🍋|link 🔗|lion 🦁|lobster 🦞|lock 🔒
lol 😂|love 😍|magnet 🧲|mail ✉️|map 🗺️|mask 😷|mechanic 🧑‍🔧|medal 🏅|memo 📝|microphone 🎤|microscope 🔬|milk 🥛|mind_blown 🤯|money 💰
monkey 🐒|moon 🌙|mountain ⛰️|mouse 🐭|muscle 💪|mushroom 🍄|music 🎵|nerd 🤓|neutral 😐|newspaper 📰|no ❌|no_entry ⛔|nose 👃|notes 🎶
ocean 🌊|octopus 🐙|ok 🆗|ok_hand 👌|old_key 🗝️|onion 🧅|open_mouth 😮|orange 🍊|orange_heart 🧡|outbox 📤|owl 🦉|package 📦|palm_tree 🌴|panda 🐼
paperclip 📎|party 🥳|peach 🍑|peace ✌️|pear 🍐|pencil ✏️|penguin 🐧|pepper 🌶️|phone 📱|piano 🎹|pig 🐷|pill 💊|pin 📌|pineapple 🍍
pizza 🍕|plane ✈️|plant 🌱|pleading 🥺|plug 🔌|point_down 👇|point_left 👈|point_right 👉|point_up ☝️|poop 💩|popcorn 🍿|potato 🥔|pray 🙏|printer 🖨️
pumpkin 🎃|purple_heart 💜|puzzle 🧩|question ❓|rabbit 🐰|rainbow 🌈|raised_hand ✋|ram 🐏|rat 🐀|recycle ♻️|red_circle 🔴|relieved 😌|ribbon 🎀|rice 🍚
ring 💍|robot 🤖|rocket 🚀|rofl 🤣|rose 🌹|sad 😞|salute 🫡|sandwich 🥪|santa 🎅|satellite 🛰️|scales ⚖️|scissors ✂️|scream 😱|seal 🦭
see_no_evil 🙈|seedling 🌱|shark 🦈|sheep 🐑|shield 🛡️|ship 🚢|shrug 🤷|skull 💀|sleeping 😴|sleepy 😪|sloth 🦥|slow 🐌|smile 😄|smiley 😃
smirk 😏|snail 🐌|snake 🐍|snowflake ❄️|snowman ⛄|sob 😭|soccer ⚽|sos 🆘|sparkles ✨|speech 💬|spider 🕷️|spiral 🌀|squid 🦑|star ⭐
star_struck 🤩|stop 🛑|strawberry 🍓|sun ☀️|sunflower 🌻|sunglasses 😎|sunrise 🌅|sushi 🍣|sweat 😓|sweat_smile 😅|sweet_potato 🍠|swan 🦢|tada 🎉|taco 🌮
target 🎯|tea 🍵|telescope 🔭|tent ⛺|test_tube 🧪|thinking 🤔|thread 🧵|thumbsdown 👎|thumbsup 👍|tiger 🐯|toolbox 🧰|tooth 🦷|tractor 🚜|train 🚆
tree 🌳|trophy 🏆|truck 🚚|turtle 🐢|tv 📺|ufo 🛸|umbrella ☂️|unamused 😒|unicorn 🦄|unlock 🔓|upside_down 🙃|v ✌️|video 📹|violin 🎻
volcano 🌋|vomit 🤮|warning ⚠️|wastebasket 🗑️|watch ⌚|watermelon 🍉|wave 👋|weary 😩|whale 🐳|wheel 🎡|white_heart 🤍|wilted 🥀|wind 🌬️|wine 🍷
wink 😉|wolf 🐺|worried 😟|wrench 🔧|x ❌|yawn 🥱|yellow_heart 💛|yes ✅|yum 😋|zap ⚡|zebra 🦓|zipper_mouth 🤐|zombie 🧟|zzz 💤
`;

/** @type {ReadonlyMap<string, string>} name to emoji */
export const EMOJI = new Map(
  TABLE.trim()
    .split(/[|\n]/u)
    .map((entry) => /** @type {[string, string]} */ (entry.split(" "))),
);
