/** Arabic, which is read from right to left. */
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
    setUp: 'لاستعمال نماذج حقيقية، أعطِ البوّابة مفتاحًا',
   
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
    unreadable: (name) => `${name} ليس صورة ولا نصًا ولا PDF ولا مستند Word ولا صوتًا (WAV أو MP3)، فلا يستطيع أي نموذج قراءته.`, asText: 'أرسله كنص', wordless: (name) => `لا كلمات مقروءة في ${name}؛ قد يكون مسحًا ضوئيًا.`, unkept: 'لا يحفظ متصفحك المرفقات: إعادة التحميل تُفقدها.',
   
    cannot: (model, kinds) => `لا يقبل ${model} ${kinds}.`, switchTo: (model) => `استخدم ${model}`, kinds: { image: 'الصور', audio: 'الصوت', file: 'ملفات مثل PDF', text: 'النص' }, tooBig: (name, limit) => `${name} أكبر من ${limit}.`, image: 'صورة مرفقة', audio: 'صوت مرفق', file: 'ملف مرفق',
  },
  models: {
    favourites: 'المفضّلة', recent: 'آخر ما اخترت', love: (id) => `أضف ${id} إلى المفضّلة`, unlove: (id) => `أزل ${id} من المفضّلة`, choose: 'النموذج', search: 'ابحث في النماذج', none: 'لا نموذج بهذا الاسم.', aliases: 'أسماء بديلة', modes: 'أوضاع', loading: 'تُحمّل النماذج',
    vision: 'يرى الصور', audio: 'يسمع الصوت', files: 'يقرأ الملفات', tools: 'يستدعي الأدوات', reasoning: 'يستدل', context: (n) => `سياق ${n}`, price: (input, output) => `${input} للداخل و${output} للخارج لكل مليون رمز`, free: 'مجاني', stands: (targets) => `بديل عن ${targets}`, failed: 'تعذّر تحميل قائمة النماذج.',
  },
  answer: {
    remoteImage: (alt, url) => `صورة لم تُحمَّل${alt ? ` (${alt})` : ''}: ${url || 'بلا عنوان'}`, image: 'صورة مولّدة', saveImage: 'احفظ الصورة', sound: 'صوت مولّد', omitted: (size) => `شيء حجمه ${size} كان أكبر من أن يُحفظ.`, unconfirmed: 'تعذّر الوصول إلى البوّابة لتأكيد الإيقاف.', task: 'مهمة', note: (name) => `حاشية ${name}`, alerts: { note: 'ملاحظة', tip: 'نصيحة', important: 'مهم', warning: 'تحذير', caution: 'تنبيه' },
   
    wrap: 'التفاف', fold: 'طيّ', download: 'تنزيل', csv: 'تنزيل CSV', preview: 'معاينة', previewTitle: 'معاينة بلا شبكة', diagram: 'مخطط', diagramSource: 'المصدر', copySvg: 'نسخ SVG', copyPng: 'نسخ PNG', diagramFailed: (why) => `تعذّر رسم هذا المخطط${why ? `: ${why}` : '.'}`, diagramUnloaded: 'تعذّر تحميل ما يرسمه.', diagramLate: 'استغرق رسمه وقتًا طويلًا.', you: 'أنت', model: 'الإجابة', code: 'شيفرة', table: 'جدول', sources: 'المصادر', tool: 'استدعاء أداة', thinking: 'الاستدلال', thought: (time) => `استدلّ ${time}`,
    stopped: 'أُوقفت.', closed: (time) => `أُغلق الاتصال بالنموذج خلال ${time}.`, lost: 'انتهت البوّابة أثناء الإجابة. هذا ما حُفظ.', length: 'بلغت الإجابة حدّ طولها.', filtered: 'حجب المزوّد بقية هذه الإجابة.', jump: 'انتقل إلى آخر الكلمات', compare: 'إجابات عن سؤال واحد', goesOn: 'تستمر المحادثة من هذه', finished: 'اكتملت الإجابة.', starts: 'يجيب.',
  },
  phase: {
    retrying: (provider, wait, code) => `إعادة المحاولة مع ${provider}${wait < 1 ? '' : ` بعد ${Math.round(wait)} ث`}${code ? `، إثر ${code}` : ''}`, again: (provider, model, attempt) => `إعادة المحاولة مع ${provider}${model ? ` · ${model}` : ''} (المحاولة ${attempt})`, stored: 'لم يعد البث المباشر محفوظًا. الإجابة مستمرة، وتُعرض كما تحفظها البوّابة', cut: 'انقطع الاتصال. الإجابة مستمرة؛ تُعاد محاولة الاتصال',
    asking: 'يُسأل عبر البوّابة', resuming: 'يُستأنف من حيث توقف', streaming: 'بانتظار أولى الكلمات', queued: (position) => `في الطابور: ${position}`, connecting: (provider, model) => `يتصل بـ ${provider}${model ? ` · ${model}` : ''}` },
  truth: {
    failover: (codes) => `إثر ${codes}`, via: 'عبر',
    label: 'حقائق عن هذه الإجابة', first: 'أول رمز', speed: 'رمز/ث', tokensIn: 'داخل', tokensOut: 'خارج', reasoning: 'استدلال', cached: 'مخزّن', attempts: (n) => counted(n, { one: 'محاولة واحدة', two: 'محاولتان', few: 'محاولات', other: 'محاولة' }), copyId: 'انسخ معرّف الطلب', idCopied: 'نُسخ معرّف الطلب', cost: 'الكلفة' },
  problems: {
    next: { model_not_found: 'اختر نموذجًا آخر؛ القائمة تبيّن ما تقدّمه هذه البوّابة.', invalid_api_key: 'رُفض المفتاح. أدخل مفتاحًا آخر، أو اضبط مفتاح المزوّد في بيئة البوّابة.', rate_limit_exceeded: 'يطلب المزوّد التمهّل. أعد المحاولة بعد لحظة، أو اختر نموذجًا آخر.', context_length_exceeded: 'المحادثة أطول مما يقبله هذا النموذج. ابدأ محادثة جديدة، أو اختر نموذجًا بسياق أكبر.', insufficient_quota: 'نفد رصيد حساب المزوّد. اشحنه، أو اختر نموذجًا آخر.', upstream_timeout: 'كان المزوّد بطيئًا جدًا. أعد المحاولة، أو اختر نموذجًا آخر.', upstream_unreachable: 'تعذّر الوصول إلى المزوّد. تحقّق من أنه يعمل ومن صحة عنوانه في الإعدادات.', not_found: 'ربما حُذفت. محادثاتك الأخرى في القائمة.', unreachable: 'البوّابة لا تجيب. تحقّق من أنها تعمل ثم أعد المحاولة؛ ما كتبته محفوظ.', other: 'أعد المحاولة، أو اختر نموذجًا آخر.' },
    title: 'لم ينجح هذا', unreachable: 'تعذّر الوصول إلى البوّابة.', unknown: 'حدث خطأ ما.' },
  key: { title: 'تحتاج هذه البوّابة إلى مفتاح', text: 'اسأل من يديرها، أو انظر تحت [[server.keys]] في إعداداتها.', label: 'المفتاح', remember: 'احفظه على هذا الجهاز', use: 'استخدم هذا المفتاح', wrong: 'رفضت البوّابة هذا المفتاح.' },
  settings: {
    notifyRefused: 'لا يسمح المتصفح بالإشعارات هنا.', languageHelp: 'يُعاد تحميل الصفحة.', where: (dir) => `تحفظ البوّابة المحادثات في ${dir}. أما هذه الإعدادات فمحفوظة في هذا المتصفح.`, nowhere: 'تحفظ البوّابة المحادثات. أما هذه الإعدادات فمحفوظة في هذا المتصفح.', importHelp: 'تُستورد المحادثات من صادرات هذه البوّابة وChatGPT وClaude وOpen WebUI وllms.py، بصيغة JSON أو داخل ZIP.', unknownExport: 'هذا الملف ليس تصدير محادثات معروفًا هنا.', imported: (n) => counted(n, { one: 'استُوردت محادثة واحدة.', two: 'استُوردت محادثتان.', few: 'محادثات استُوردت.', other: 'محادثة استُوردت.' }),
    leftOut: (kinds) => `ليست في التصدير، أو لا مكان لها هنا: ${kinds}.`,
    kinds: { image: 'صور', audio: 'أصوات', file: 'ملفات', system: 'رسائل النظام', hidden: 'رسائل مخفية', message: 'رسائل', chat: 'محادثات فارغة' },
   
    title: 'الإعدادات', answers: 'الإجابات', look: 'المظهر', data: 'البيانات', notify: 'أخبرني عند انتهاء الإجابة', notifyHelp: 'إشعار من المتصفح أثناء انشغالك بغيره. فيه اسم المحادثة لا كلماتها.', stream: 'اعرض الإجابات أثناء كتابتها', streamHelp: 'عند الإيقاف تظهر الإجابة كاملة.',
    preset: 'إعداد محفوظ', noPreset: 'لا شيء', savePreset: 'احفظ الإعداد', deletePreset: 'احذف الإعداد', presetName: 'اسم الإعداد', system: 'تعليمات النظام', systemHelp: 'تُرسل قبل كل محادثة جديدة.', systemHelpThis: 'تُرسل قبل هذه المحادثة.', scope: 'تنطبق على', thisChat: 'هذه المحادثة', newChats: 'المحادثات الجديدة',
    temperature: 'الحرارة', maxTokens: 'أطول إجابة، بالرموز', effort: 'جهد الاستدلال', byModel: 'الافتراضي للنموذج', efforts: { minimal: 'أدنى', low: 'منخفض', medium: 'متوسط', high: 'عالٍ' }, theme: 'المظهر', themes: { system: 'النظام', light: 'فاتح', dark: 'داكن' }, size: 'حجم النص', sizes: { small: 'صغير', medium: 'متوسط', large: 'كبير' }, language: 'اللغة',
    exportAll: 'صدّر كل المحادثات', import: 'استورد محادثات', deleteAll: 'احذف كل المحادثات', deleteSure: 'احذفها نهائيًا', deleteWarn: 'لا يمكن التراجع عن هذا.', deletedAll: 'حُذفت كل المحادثات.', forgetKey: 'انسَ المفتاح', keyForgotten: 'نُسي المفتاح.',
  },
  activity: {
    none: 'لا طلبات بعد. تظهر هنا حين يسأل أحد.', ttft: 'الزمن حتى أول رمز', speed: 'رموز في الثانية', errors: 'الطلبات والأخطاء', tokens: 'الرموز', ms: 'مللي ثانية', cancelled: 'أُلغيت', tokensIn: 'داخلة', tokensOut: 'خارجة', stopped: 'أُوقفت', errorRate: 'نسبة الأخطاء', cancelTime: 'زمن الإيقاف (P95)', latency: 'الإجابة كاملة (P50)', states: { running: 'جارٍ', completed: 'اكتمل', cancelled: 'أُوقف', failed: 'فشل' }, phases: { queued: 'في الطابور', connecting: 'يتصل', waiting: 'ينتظر', streaming: 'يبث', backing_off: 'يتمهّل', finishing: 'ينتهي' },
   
    title: 'النشاط', running: 'يعمل الآن', recent: 'آخر الطلبات', numbers: 'حسب النموذج', plots: 'عبر الزمن', idle: 'لا شيء يعمل الآن.', window: 'المدة', windows: { hour: 'ساعة', day: 'يوم', week: 'أسبوع' }, requests: 'الطلبات', failed: 'الأخطاء', model: 'النموذج', provider: 'المزوّد', state: 'الحالة', age: 'العمر', started: 'البداية', duration: 'المدة', cost: 'الكلفة',
  },
  flight: {
    gone: 'لم تعد البوّابة تذكر توقيت هذا الطلب.', kinds: { connecting: 'اتصال', sent: 'انتظار', first: 'أول رمز', answer: 'إجابة', gap: 'صمت', wait: 'انتظار هنا' }, why: { first: 'المحاولة الأولى', retry: 'إعادة', failover: 'تحويل', hedge: 'محاولة موازية', part: 'جزء' }, waits: { queue: 'طابور', backoff: 'تمهّل', budget: 'ميزانية' }, states: { stopped: 'أُوقف', lost_race: 'سُبق', open: 'جارٍ', opening: 'جارٍ' }, after: (code) => `إثر ${code}`, sent: (bytes) => `أُرسل ${bytes}`, received: (bytes) => `استُقبل ${bytes}`, reused: 'اتصال معاد استعماله', gaps: (n, time) => `${counted(n, { one: 'صمت واحد', two: 'صمتان', few: 'فترات صمت', other: 'فترة صمت' })}، مجموعها ${time}`, leftOut: (n) => `${counted(n, { one: 'محاولة واحدة', two: 'محاولتان', few: 'محاولات', other: 'محاولة' })} بينهما غير محفوظة.`, whole: (time) => `المجموع ${time}.`, client: (input, output) => `جاء ${input} من العميل، وذهب إليه ${output}.`, stopped: (time) => `أُوقف بعد ${time}.`, closed: (time) => `أُغلق اتصال المزوّد بعد ذلك بـ${time}.`, nothingSpent: 'لم يُسأل أي مزوّد، فلم يُنفق شيء.', noLimit: 'ما وفّره ذلك غير معروف، لأن الطلب لم يضع حدًا.', saved: (tokens, cost, estimated) => `لم يُكتب ما يصل إلى ${estimated ? 'نحو ' : ''}${tokens} من الرموز${cost ? `، قيمتها ${cost} على الأكثر` : ''}.`, copyAsOne: (name) => `انسخ بصيغة ${name}`, copied: (name) => `نُسخ بصيغة ${name}`,
    title: 'ما فعله هذا الطلب ومتى', open: 'توقيت هذا الطلب', copyAs: 'انسخ بصيغة' },
  shortcuts: {
    title: 'اختصارات لوحة المفاتيح',
    names: { newChat: 'محادثة جديدة', search: 'ابحث في المحادثات', focus: 'اكتب رسالة', stop: 'أوقف الإجابة', copy: 'انسخ آخر إجابة', model: 'غيّر النموذج', edit: 'عدّل آخر رسالة (في حقل فارغ)', settings: 'الإعدادات', help: 'هذه القائمة', send: 'إرسال', line: 'سطر جديد', sidebar: 'أظهر المحادثات أو أخفها', palette: 'الأوامر' },
  },
  accounts: {
    title: 'الميزانيات والاستعمال', usage: 'الاستعمال', noBudget: 'لا ميزانية تحدّ ما يمكنك إنفاقه هنا.', by: 'الاستعمال حسب', ways: { key: 'المفتاح', model: 'النموذج', day: 'اليوم' }, unpriced: 'بلا سعر', perDay: 'الإنفاق في اليوم', dearest: 'الأعلى كلفة', budget: (key, account, window) => (account === `key:${key}` ? `${key}، ${window}` : `${key} (${account})، ${window}`), left: (left, limit) => `بقي ${left} من ${limit}`,
  },
  keys: {
    title: 'المفاتيح', groups: 'المجموعات', newKey: 'مفتاح جديد', newGroup: 'مجموعة جديدة', none: 'لا يوجد مفتاح.', open: 'لا يحتاج أحد إلى مفتاح بعد. المفتاح الأول يغلق البوّابة: يحتاج الجميع بعده إلى مفتاح.', first: 'هذا هو المفتاح الأول: يحتاج الجميع بعده إلى مفتاح، وأنت أيضًا. ستستعمله هذه الصفحة.', name: 'الاسم', budget: 'الميزانية بالدولار', budgetHelp: 'مثل 20/month أو 2/day أو 50/total. فارغة تعني بلا ميزانية.', any: 'أي', counts: { rpm: 'طلبات في الدقيقة', tpm: 'رموز في الدقيقة', max_parallel: 'طلبات في آن واحد' }, models: 'النماذج', modelsHelp: 'أسماء أو أنماط تفصل بينها فواصل، مثل fast, openai/*.', group: 'المجموعة', noGroup: 'بلا مجموعة', expires: 'ينتهي في', admin: 'مدير', adminHelp: 'مدير: يرى طلبات الجميع ويوقفها، ويدير المفاتيح', create: 'إنشاء', change: 'تغيير الحدود', changeOf: (name) => `حدود ${name}`, rotate: 'سر جديد', revoke: 'إبطال', remove: 'حذف', actionsFor: (name) => `إجراءات ${name}`, rotateOf: (name) => `سر جديد لـ${name}`, rotateWarn: 'يُقبل السر القديم يومًا آخر.', revokeOf: (name) => `إبطال ${name}؟`, revokeWarn: 'تُوقف طلباته الجارية. لن يُقبل ثانية، ولا يمكن استعمال اسمه مرة أخرى.', removeOf: (name) => `حذف المجموعة ${name}؟`, removeWarn: 'يجب ألا تكون فيها مفاتيح. يبقى ما أنفقته محسوبًا باسمها.', secret: 'السر', secretOf: (name) => `سر ${name}`, once: 'انسخه الآن: يُعرض هذه المرة فقط.', revoked: 'مُبطل', inConfig: 'في ملف الإعدادات', revokedOnes: (n) => `أظهر ${counted(n, { one: 'مفتاحًا مبطلًا', two: 'مفتاحين مبطلين', few: 'مفاتيح مبطلة', other: 'مفتاحًا مبطلًا' })}`, inGroup: (name) => `المجموعة ${name}`, members: (n) => counted(n, { one: 'مفتاح واحد', two: 'مفتاحان', few: 'مفاتيح', other: 'مفتاحًا' }), noLimits: 'بلا حدود', spent: 'أُنفق', rpm: (n) => `${n} طلبات في الدقيقة`, tpm: (n) => `${n} رموز في الدقيقة`, parallel: (n) => `${n} في آن واحد`, until: (day) => `حتى ${day}`, requests: (n) => counted(n, { one: 'طلب واحد', two: 'طلبان', few: 'طلبات', other: 'طلبًا' }), budgetOf: (spent, limit, window) => `${spent} من ${limit}، ${window}`,
  },
};
