/** Arabic, which is read from right to left. What is missing here is said in English. */
import type { Translation } from '../strings.ts';

/** Arabic counts one, two, few and many in forms of their own. */
const rules = new Intl.PluralRules('ar');

function counted(n: number, forms: { one: string; two: string; few: string; other: string }): string {
  const kind = rules.select(n);
  if (kind === 'one') return forms.one;
  if (kind === 'two') return forms.two;
  return `${n} ${kind === 'few' ? forms.few : forms.other}`;
}

export const ar: Translation = {
  nav: {
    newChat: 'محادثة جديدة', threads: 'المحادثات', activity: 'النشاط', settings: 'الإعدادات', shortcuts: 'اختصارات لوحة المفاتيح',
    open: 'افتح قائمة المحادثات', close: 'أغلق قائمة المحادثات', skip: 'انتقل إلى المحادثة', chat: 'المحادثة',
  },
  groups: { pinned: 'المثبّتة', today: 'اليوم', yesterday: 'أمس', week: 'آخر 7 أيام', month: 'آخر 30 يومًا', older: 'أقدم' },
  threads: {
    search: 'ابحث في المحادثات', noHits: 'لا نتائج. جرّب كلمات أخرى أو أقل.', untitled: 'محادثة جديدة', running: 'يجيب الآن', empty: 'ستظهر محادثاتك هنا.', more: 'اعرض المحادثات الأقدم', actions: 'إجراءات هذه المحادثة',
    tags: 'الوسوم', tagsPrompt: 'الوسوم، مفصولة بفواصل', filter: 'اعرض المحادثات ذات وسم', rename: 'إعادة تسمية', pin: 'تثبيت', unpin: 'إلغاء التثبيت', remove: 'حذف', exportMarkdown: 'تصدير بصيغة Markdown', exportJson: 'تصدير بصيغة JSON', exportHtml: 'تصدير كصفحة ويب',
    deleted: (title) => `حُذفت «${title}».`, undo: 'تراجع', renamePrompt: 'اسم المحادثة', hits: (n) => counted(n, { one: 'نتيجة واحدة', two: 'نتيجتان', few: 'نتائج', other: 'نتيجة' }),
  },
  actions: {
    copyMarkdown: 'انسخ بصيغة Markdown', copyRich: 'انسخ مع التنسيق', copiedRich: 'نُسخ مع التنسيق', copy: 'نسخ', copied: 'نُسخ', notCopied: 'لا يسمح متصفحك بالنسخ هنا. حدّد النص وانسخه.', edit: 'تعديل', regenerate: 'أجب مرة أخرى', retry: 'إعادة المحاولة', continue: 'متابعة', stop: 'إيقاف',
    send: 'إرسال', cancel: 'إلغاء', save: 'حفظ', close: 'إغلاق', keep: 'احتفظ بهذه', more: 'المزيد', with: 'أجب بنموذج آخر', dismiss: 'إخفاء', reload: 'حاول مرة أخرى',
  },
  branches: { previous: 'النسخة السابقة', next: 'النسخة التالية', of: (at, all) => `${at} من ${all}` },
  empty: {
    title: 'فيمَ نفكّر؟', lead: 'كل ما تسأله يبقى في بوّابتك. الإيقاف يوقف النموذج فعلًا، ولا تضيع أي إجابة عند إغلاق الصفحة.', demo: 'لم يُعَدّ أي مزوّد بعد، لكن يمكنك تجربة الصفحة بالنموذج التجريبي.', tryDemo: 'جرّب النموذج التجريبي',
    examples: [['اشرح', 'كيف تصل الرموز من النموذج إلى هذه الصفحة'], ['اكتب', 'رسالة قصيرة تطلب تأجيل موعد'], ['قارن', 'ثلاث طرق لحفظ السلاسل الزمنية، في جدول'], ['راجع', 'الشيفرة التي سألصقها']],
  },
  composer: {
    label: 'رسالتك', placeholder: 'اسأل عن أي شيء', hint: 'Enter للإرسال، وShift+Enter لسطر جديد', hintCoarse: 'أرسل بالزر', attach: 'أرفق ملفات', compare: 'اسأل نموذجًا ثانيًا أيضًا', drop: 'أفلت الملفات لإرفاقها', remove: (name) => `أزل ${name}`,
    others: 'نماذج تُسأل أيضًا', second: ['النموذج الثاني', 'النموذج الثالث', 'النموذج الرابع'], more: 'نموذج آخر', less: (model) => `لا تسأل ${model}`, settings: 'إعدادات هذه المحادثة', offline: 'تعذّر الوصول إلى البوّابة. يمكنك قراءة المحادثة المفتوحة، وتستمر المحاولة حتى تجيب.',
  },
  chatSettings: { system: 'تعليمات النظام', temperature: (value) => `الحرارة ${value}`, tokens: (n) => `${n} رمزًا على الأكثر`, effort: (name) => `الجهد ${name}` },
  prompts: {
    title: 'القوالب', none: 'لا قوالب بعد. أنشئ قالبًا في الإعدادات.', manage: 'إدارة القوالب', insert: 'أدرجه', choose: 'القالب', fresh: 'قالب جديد', help: 'اكتب / في رسالة فارغة لاستخدام قالب. ما بين {{قوسين مزدوجين}} يُسأل عنه.',
    name: 'اسم القالب', text: 'نص القالب', save: 'احفظ القالب', remove: 'احذف القالب',
  },
  trash: { title: (n) => `المحادثات المحذوفة (${n})`, help: 'يمكن استعادة المحادثة المحذوفة خلال 30 يومًا، ثم تُزال نهائيًا.', restore: 'استعادة', purge: 'إزالة نهائية' },
  notify: { done: 'اكتملت الإجابة.', failed: 'انتهت الإجابة قبل أن تكتمل.' },
  palette: {
    title: 'الأوامر', search: 'ابحث في الأوامر والمحادثات والنماذج والقوالب', none: 'لا شيء بهذا الاسم.', commands: 'الأوامر', chats: 'المحادثات', models: 'أجب بواسطة', prompts: 'القوالب', activity: 'النشاط', light: 'مظهر فاتح', dark: 'مظهر داكن', temporary: 'محادثة مؤقتة',
  },
  temporary: { make: 'محادثة مؤقتة', is: 'مؤقتة', help: 'المحادثة المؤقتة لا تُدرج في القائمة، وتحذفها البوّابة نهائيًا عند مغادرتها أو إعادة تحميلها.' },
  meter: {
    label: 'سياق هذه المحادثة وكلفتها', of: (used, all, share) => `${used} من ${all} (${share})`, tokens: (n) => `${n} رمزًا`, plus: (n) => ` + ${n} بلا سعر`, unpriced: 'السعر غير معروف', unknown: 'غير معروف', input: 'داخل', cached: 'مخزّن', output: 'خارج', cost: 'الكلفة',
    full: 'سياق النموذج يكاد يمتلئ. ابدأ محادثة جديدة أو اختر نموذجًا أكبر.', noContext: 'طول سياق هذا النموذج غير معروف.', branch: 'للفرع المعروض.', partial: 'لم تُحمّل الرسائل الأقدم بعد.',
  },
  queue: { title: 'بانتظار الإرسال', add: 'أرسل عند انتهاء الإجابة', edit: 'عدّل هذه الرسالة', remove: 'أزل هذه الرسالة', files: (n) => counted(n, { one: 'ملف واحد', two: 'ملفان', few: 'ملفات', other: 'ملفًا' }), held: 'لم تنتهِ الإجابة السابقة من تلقاء نفسها.', now: 'أرسل الآن' },
  attachments: {
    cannot: (model, kinds) => `لا يقبل ${model} ${kinds}.`, switchTo: (model) => `استخدم ${model}`, kinds: { image: 'الصور', audio: 'الصوت', file: 'ملفات مثل PDF', text: 'النص' }, tooBig: (name, limit) => `${name} أكبر من ${limit}.`, image: 'صورة مرفقة', audio: 'صوت مرفق', file: 'ملف مرفق',
  },
  models: {
    favourites: 'المفضّلة', recent: 'آخر ما اخترت', love: (id) => `أضف ${id} إلى المفضّلة`, unlove: (id) => `أزل ${id} من المفضّلة`, choose: 'النموذج', search: 'ابحث في النماذج', none: 'لا نموذج بهذا الاسم.', aliases: 'أسماء بديلة', modes: 'أوضاع', loading: 'تُحمّل النماذج',
    vision: 'يرى الصور', audio: 'يسمع الصوت', files: 'يقرأ الملفات', tools: 'يستدعي الأدوات', reasoning: 'يستدل', context: (n) => `سياق ${n}`, price: (input, output) => `${input} للداخل و${output} للخارج لكل مليون رمز`, free: 'مجاني', stands: (targets) => `بديل عن ${targets}`, failed: 'تعذّر تحميل قائمة النماذج.',
  },
  answer: {
    wrap: 'التفاف', fold: 'طيّ', download: 'تنزيل', csv: 'تنزيل CSV', preview: 'معاينة', previewTitle: 'معاينة بلا شبكة', you: 'أنت', model: 'الإجابة', code: 'شيفرة', table: 'جدول', sources: 'المصادر', tool: 'استدعاء أداة', thinking: 'الاستدلال', thought: (time) => `استدلّ ${time}`,
    stopped: 'أُوقفت.', closed: (time) => `أُغلق الاتصال بالنموذج خلال ${time}.`, lost: 'انتهت البوّابة أثناء الإجابة. هذا ما حُفظ.', length: 'بلغت الإجابة حدّ طولها.', filtered: 'حجب المزوّد بقية هذه الإجابة.', jump: 'انتقل إلى آخر الكلمات', compare: 'إجابات عن سؤال واحد', goesOn: 'تستمر المحادثة من هذه', finished: 'اكتملت الإجابة.', starts: 'يجيب.',
  },
  phase: { asking: 'يُسأل عبر البوّابة', resuming: 'يُستأنف من حيث توقف', streaming: 'بانتظار أولى الكلمات', queued: (position) => `في الطابور: ${position}`, connecting: (provider, model) => `يتصل بـ ${provider}${model ? ` · ${model}` : ''}` },
  truth: { label: 'حقائق عن هذه الإجابة', first: 'أول رمز', speed: 'رمز/ث', tokensIn: 'داخل', tokensOut: 'خارج', reasoning: 'استدلال', cached: 'مخزّن', attempts: (n) => counted(n, { one: 'محاولة واحدة', two: 'محاولتان', few: 'محاولات', other: 'محاولة' }), copyId: 'انسخ معرّف الطلب', idCopied: 'نُسخ معرّف الطلب', cost: 'الكلفة' },
  problems: { title: 'لم ينجح هذا', unreachable: 'تعذّر الوصول إلى البوّابة.', unknown: 'حدث خطأ ما.' },
  key: { title: 'تحتاج هذه البوّابة إلى مفتاح', text: 'اسأل من يديرها، أو انظر تحت [[server.keys]] في إعداداتها.', label: 'المفتاح', remember: 'احفظه على هذا الجهاز', use: 'استخدم هذا المفتاح', wrong: 'رفضت البوّابة هذا المفتاح.' },
  settings: {
    title: 'الإعدادات', answers: 'الإجابات', look: 'المظهر', data: 'البيانات', notify: 'أخبرني عند انتهاء الإجابة', notifyHelp: 'إشعار من المتصفح أثناء انشغالك بغيره. فيه اسم المحادثة لا كلماتها.', stream: 'اعرض الإجابات أثناء كتابتها', streamHelp: 'عند الإيقاف تظهر الإجابة كاملة.',
    preset: 'إعداد محفوظ', noPreset: 'لا شيء', savePreset: 'احفظ الإعداد', deletePreset: 'احذف الإعداد', presetName: 'اسم الإعداد', system: 'تعليمات النظام', systemHelp: 'تُرسل قبل كل محادثة جديدة.', systemHelpThis: 'تُرسل قبل هذه المحادثة.', scope: 'تنطبق على', thisChat: 'هذه المحادثة', newChats: 'المحادثات الجديدة',
    temperature: 'الحرارة', maxTokens: 'أطول إجابة، بالرموز', effort: 'جهد الاستدلال', byModel: 'الافتراضي للنموذج', efforts: { minimal: 'أدنى', low: 'منخفض', medium: 'متوسط', high: 'عالٍ' }, theme: 'المظهر', themes: { system: 'النظام', light: 'فاتح', dark: 'داكن' }, size: 'حجم النص', sizes: { small: 'صغير', medium: 'متوسط', large: 'كبير' }, language: 'اللغة',
    exportAll: 'صدّر كل المحادثات', import: 'استورد محادثات', deleteAll: 'احذف كل المحادثات', deleteSure: 'احذفها نهائيًا', deleteWarn: 'لا يمكن التراجع عن هذا.', deletedAll: 'حُذفت كل المحادثات.', forgetKey: 'انسَ المفتاح', keyForgotten: 'نُسي المفتاح.',
  },
  activity: {
    title: 'النشاط', running: 'يعمل الآن', recent: 'آخر الطلبات', numbers: 'حسب النموذج', plots: 'عبر الزمن', idle: 'لا شيء يعمل الآن.', window: 'المدة', windows: { hour: 'ساعة', day: 'يوم', week: 'أسبوع' }, requests: 'الطلبات', failed: 'الأخطاء', model: 'النموذج', provider: 'المزوّد', state: 'الحالة', age: 'العمر', started: 'البداية', duration: 'المدة', cost: 'الكلفة',
  },
  flight: { title: 'ما فعله هذا الطلب ومتى', open: 'توقيت هذا الطلب', copyAs: 'انسخ بصيغة' },
  shortcuts: {
    title: 'اختصارات لوحة المفاتيح',
    names: { newChat: 'محادثة جديدة', search: 'ابحث في المحادثات', focus: 'اكتب رسالة', stop: 'أوقف الإجابة', copy: 'انسخ آخر إجابة', model: 'غيّر النموذج', edit: 'عدّل آخر رسالة (في حقل فارغ)', settings: 'الإعدادات', help: 'هذه القائمة', send: 'إرسال', line: 'سطر جديد', sidebar: 'أظهر المحادثات أو أخفها', palette: 'الأوامر' },
  },
};
