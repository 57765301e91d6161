//! What the plugin itself says, in the languages it speaks.

/// What is said in one language.
pub(crate) struct Words {
    pub(crate) title: &'static str,
    pub(crate) forgotten: &'static str,
    pub(crate) only_text: &'static str,
    pub(crate) ask_me: &'static str,
    pub(crate) broke_off: &'static str,
    pub(crate) cut_off: &'static str,
    pub(crate) filtered: &'static str,
    pub(crate) no_answer: &'static str,
    /// Stands in a question where a picture was.
    pub(crate) picture: &'static str,
}

const ENGLISH: Words = Words {
    title: "Answer",
    forgotten: "Forgotten. What shall we talk about?",
    only_text: "I can read text only, so far. Tell me in words what it is about.",
    ask_me: "Ask me something. `/reset` makes me forget what we talked about.",
    broke_off: "*The answer broke off here. Please ask again.*",
    cut_off: "*The answer is longer than allowed and was cut off here.*",
    filtered: "*The model's provider has stopped the answer here.*",
    no_answer: "The model has no answer to this. Try it in other words.",
    picture: "[a picture, which you cannot see]",
};

const CHINESE: Words = Words {
    title: "回答",
    forgotten: "已清空对话记录。想聊点什么？",
    only_text: "我目前只能看懂文字，请用文字描述一下。",
    ask_me: "请直接提问。发送“重置”可以清空对话记录。",
    broke_off: "*回答在此中断，请重新提问。*",
    cut_off: "*回答超出长度限制，在此截断。*",
    filtered: "*回答在此被模型服务方中止。*",
    no_answer: "模型没有给出回答，请换个说法再试。",
    picture: "[一张你看不到的图片]",
};

impl Words {
    /// Those of a language: `zh`, or English for everything else.
    pub(crate) fn of(language: &str) -> &'static Self {
        if language.trim().eq_ignore_ascii_case("zh") { &CHINESE } else { &ENGLISH }
    }
}
