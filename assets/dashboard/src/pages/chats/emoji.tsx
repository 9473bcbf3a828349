import css from "./chats.module.css";

const EMOJI =
  "😀 😃 😄 😁 😆 😅 😂 🤣 🙂 🙃 😉 😊 😇 🥰 😍 😘 😋 😛 😜 🤪 🤗 🤭 🤔 🤨 😐 😑 😏 😒 🙄 😬 😌 😔 😪 😴 😷 🤒 🤕 🤢 🥵 🥶 😵 🤯 🥳 😎 🤓 😕 😟 🙁 😮 😲 😳 🥺 😢 😭 😱 😤 😡 🤬 💀 💩 🤡 👻 👽 🤖 👋 🤚 ✋ 👌 🤏 ✌️ 🤞 🤟 🤘 👈 👉 👆 👇 👍 👎 ✊ 👏 🙌 👐 🤝 🙏 💪 👀 ❤️ 🧡 💛 💚 💙 💜 🖤 💔 💕 💯 🔥 ⭐ ✨ 🎉 🎊 🎁 🎂 ☕ 🍕 🍎 ⚽ 🚗 ✈️ 🏠 ⏰ 📞 💻 📷 📎 ✏️ 📌 🔑 🔒 ✅ ❌ ❗ ❓ ⚠️ 🌞 🌧️ ❄️ 🌈 🌸".split(" ");

/** A grid of common emoji; systems have their own keyboard for all others. */
export default function EmojiGrid({ choose }: { choose: (emoji: string) => void }) {
  return (
    <div class={css.emoji}>
      {EMOJI.map((emoji) => <button key={emoji} type="button" aria-label={emoji} onClick={() => choose(emoji)}>{emoji}</button>)}
    </div>
  );
}
