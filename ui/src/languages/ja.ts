/** Japanese. What is missing here is said in English. */
import type { Translation } from '../strings.ts';

export const ja: Translation = {
  nav: {
    newChat: '新しいチャット', threads: 'チャット', activity: 'アクティビティ', settings: '設定', shortcuts: 'キーボードショートカット',
    open: 'チャット一覧を開く', close: 'チャット一覧を閉じる', skip: '会話へ移動', chat: '会話',
  },
  groups: { pinned: 'ピン留め', today: '今日', yesterday: '昨日', week: '過去7日間', month: '過去30日間', older: 'それ以前' },
  threads: {
    search: 'チャットを検索', noHits: '見つかりません。別の言葉か、より少ない言葉で試してください。', untitled: '新しいチャット', running: '回答中',
    empty: 'ここにチャットが表示されます。', more: '以前のチャットを表示', actions: 'このチャットの操作', tags: 'タグ', tagsPrompt: 'タグ（コンマで区切る）', filter: 'タグでチャットを絞り込む',
    rename: '名前を変更', pin: 'ピン留め', unpin: 'ピン留めを外す', remove: '削除', exportMarkdown: 'Markdownで書き出す', exportJson: 'JSONで書き出す', exportHtml: 'ウェブページとして書き出す',
    deleted: (title) => `「${title}」を削除しました。`, undo: '元に戻す', renamePrompt: 'チャットの名前', hits: (n) => `${n}件`,
  },
  actions: {
    copyMarkdown: 'Markdownをコピー', copyRich: '書式付きでコピー', copiedRich: '書式付きでコピーしました', copy: 'コピー', copied: 'コピーしました',
    notCopied: 'このブラウザーではコピーできません。文字を選択してコピーしてください。', edit: '編集', regenerate: 'もう一度回答', retry: '再試行', continue: '続ける', stop: '停止',
    send: '送信', cancel: 'キャンセル', save: '保存', close: '閉じる', keep: 'これを採用', more: 'その他', with: '別のモデルで回答', dismiss: '閉じる', reload: '再試行',
  },
  branches: { previous: '前の版', next: '次の版', of: (at, all) => `${all}件中${at}件目` },
  empty: {
    title: '何を考えましょうか。', lead: '質問はすべてあなたのゲートウェイに残ります。停止はモデルを本当に止め、ページを閉じても回答は失われません。',
    demo: 'プロバイダーはまだ設定されていませんが、デモモデルで試せます。', tryDemo: 'デモモデルを試す',
    examples: [['説明する', 'モデルからこのページまでトークンがどう届くか'], ['書く', '締め切りの延期を頼む短い手紙'], ['比べる', '時系列データを保存する三つの方法を表で'], ['見直す', 'これから貼り付けるコード']],
  },
  composer: {
    label: 'メッセージ', placeholder: '何でも聞いてください', hint: 'Enterで送信、Shift+Enterで改行', hintCoarse: 'ボタンで送信', attach: 'ファイルを添付',
    compare: '別のモデルにも聞く', drop: 'ファイルをドロップして添付', remove: (name) => `${name}を外す`, others: '一緒に聞くモデル', second: ['2番目のモデル', '3番目のモデル', '4番目のモデル'],
    more: 'モデルを追加', less: (model) => `${model}に聞かない`, settings: 'このチャットの設定', offline: 'ゲートウェイに接続できません。開いているチャットは読めます。応答があるまで確認を続けます。',
  },
  chatSettings: { system: 'システムプロンプト', temperature: (value) => `温度 ${value}`, tokens: (n) => `最大${n}トークン`, effort: (name) => `推論 ${name}` },
  prompts: {
    title: 'プロンプト', none: 'プロンプトはまだありません。設定で作成できます。', manage: 'プロンプトを管理', insert: '入力する', choose: 'プロンプト', fresh: '新規',
    help: '空のメッセージで / を入力すると使えます。{{二重の波括弧}} の中は入力を求められます。', name: 'プロンプトの名前', text: 'プロンプトの本文', save: 'プロンプトを保存', remove: 'プロンプトを削除',
  },
  trash: { title: (n) => `削除したチャット（${n}）`, help: '削除したチャットは30日間元に戻せます。その後は完全に削除されます。', restore: '元に戻す', purge: '完全に削除' },
  notify: { done: '回答が完了しました。', failed: '回答は途中で終わりました。' },
  palette: {
    title: 'コマンド', search: 'コマンド、チャット、モデル、プロンプトを検索', none: '見つかりません。', commands: 'コマンド', chats: 'チャット', models: '回答するモデル', prompts: 'プロンプト',
    activity: 'アクティビティ', light: 'ライトテーマ', dark: 'ダークテーマ', temporary: '一時チャット',
  },
  temporary: { make: '一時チャット', is: '一時', help: '一時チャットは一覧に載りません。離れるか再読み込みすると、ゲートウェイが完全に削除します。' },
  meter: {
    label: 'このチャットのコンテキストと費用', of: (used, all, share) => `${all}中${used}（${share}）`, tokens: (n) => `${n}トークン`, plus: (n) => ` + 価格不明${n}件`, unpriced: '価格不明', unknown: '不明',
    input: '入力', cached: 'キャッシュ', output: '出力', cost: '費用', full: 'コンテキストがほぼいっぱいです。新しいチャットか、より大きなモデルを選んでください。', noContext: 'このモデルのコンテキスト長は不明です。',
    branch: '表示中の分岐の値です。', partial: '古いメッセージはまだ読み込まれていません。',
  },
  queue: { title: '送信待ち', add: '回答が終わったら送信', edit: 'このメッセージを編集', remove: 'このメッセージを削除', files: (n) => `${n}個のファイル`, held: '前の回答は途中で終わりました。', now: '今すぐ送信' },
  attachments: {
    cannot: (model, kinds) => `${model}は${kinds}を受け取れません。`, switchTo: (model) => `${model}を使う`, kinds: { image: '画像', audio: '音声', file: 'PDFなどのファイル', text: 'テキスト' },
    unreadable: (name) => `${name}は読める形式（画像、テキスト、PDF、Word、WAV、MP3）ではありません。`, tooBig: (name, limit) => `${name}は${limit}を超えています。`, image: '添付画像', audio: '添付音声', file: '添付ファイル',
  },
  models: {
    favourites: 'お気に入り', recent: '最近使ったモデル', love: (id) => `${id}をお気に入りに追加`, unlove: (id) => `${id}をお気に入りから外す`, choose: 'モデル', search: 'モデルを検索', none: '該当するモデルがありません。',
    aliases: '別名', modes: 'モード', loading: 'モデルを読み込み中', vision: '画像を見る', audio: '音声を聞く', files: 'ファイルを読む', tools: 'ツールを呼ぶ', reasoning: '推論する',
    context: (n) => `コンテキスト ${n}`, price: (input, output) => `100万トークンあたり入力${input}、出力${output}`, free: '無料', stands: (targets) => `${targets}の別名`, failed: 'モデル一覧を読み込めませんでした。',
  },
  answer: {
    wrap: '折り返す', fold: '折りたたむ', download: 'ダウンロード', csv: 'CSVでダウンロード', preview: 'プレビュー', previewTitle: 'ネットワークなしのプレビュー', you: 'あなた', model: '回答', code: 'コード', table: '表', sources: '出典', tool: 'ツール呼び出し',
    thinking: '推論', thought: (time) => `${time}考えました`, stopped: '停止しました。', closed: (time) => `モデルへの接続は${time}で閉じられました。`, lost: '回答中にゲートウェイが終了しました。保存されていた内容です。',
    length: '回答が長さの上限に達しました。', filtered: 'プロバイダーが残りを表示しませんでした。', jump: '最新の言葉へ', compare: '一つの質問への回答', goesOn: 'この回答から続きます', finished: '回答が完了しました。', starts: '回答中。',
  },
  phase: { asking: 'ゲートウェイに問い合わせ中', resuming: '続きを取得中', streaming: '最初の言葉を待っています', queued: (position) => `待ち順 ${position}`, connecting: (provider, model) => `${provider}${model ? ` · ${model}` : ''}に接続中` },
  truth: { label: 'この回答について', first: '最初のトークン', speed: 'トークン/秒', tokensIn: '入力', tokensOut: '出力', reasoning: '推論', cached: 'キャッシュ', attempts: (n) => `${n}回試行`, copyId: 'リクエストIDをコピー', idCopied: 'リクエストIDをコピーしました', cost: '費用' },
  problems: { title: 'うまくいきませんでした', unreachable: 'ゲートウェイに接続できません。', unknown: '問題が発生しました。' },
  key: { title: 'このゲートウェイにはキーが必要です', text: '管理者に尋ねるか、設定の [[server.keys]] を確認してください。', label: 'キー', remember: 'この端末に保存', use: 'このキーを使う', wrong: 'ゲートウェイがこのキーを拒否しました。' },
  settings: {
    title: '設定', answers: '回答', look: '表示', data: 'データ', notify: '回答が終わったら知らせる', notifyHelp: '他のものを見ている間のブラウザー通知です。チャットの名前だけで、内容は含みません。', stream: '書かれる途中の回答を表示', streamHelp: 'オフ: 完成してから表示します。',
    preset: 'プリセット', noPreset: 'なし', savePreset: 'プリセットとして保存', deletePreset: 'プリセットを削除', presetName: 'プリセットの名前', system: 'システムプロンプト', systemHelp: '新しいチャットの前に送られます。', systemHelpThis: 'このチャットの前に送られます。',
    scope: '適用先', thisChat: 'このチャット', newChats: '新しいチャット', temperature: '温度', maxTokens: '回答の最大トークン数', effort: '推論の強さ', byModel: 'モデルの既定値', efforts: { minimal: '最小', low: '低', medium: '中', high: '高' },
    theme: 'テーマ', themes: { system: 'システム', light: 'ライト', dark: 'ダーク' }, size: '文字の大きさ', sizes: { small: '小', medium: '中', large: '大' }, language: '言語', exportAll: 'すべてのチャットを書き出す', import: 'チャットを取り込む', imported: (n) => `${n}件のチャットを取り込みました。`,
    deleteAll: 'すべてのチャットを削除', deleteSure: '完全に削除する', deleteWarn: '元に戻せません。', deletedAll: 'すべてのチャットを削除しました。', forgetKey: 'キーを忘れる', keyForgotten: 'キーを忘れました。',
  },
  activity: {
    title: 'アクティビティ', running: '実行中', recent: '最近のリクエスト', numbers: 'モデル別', plots: '推移', idle: '現在実行中のものはありません。', window: '期間', windows: { hour: '時間', day: '日', week: '週' }, requests: 'リクエスト', failed: 'エラー',
    model: 'モデル', provider: 'プロバイダー', state: '状態', age: '経過', started: '開始', duration: '所要時間', cost: '費用',
  },
  flight: { title: 'このリクエストの経過', open: 'このリクエストの時間', copyAs: '次の形式でコピー:' },
  shortcuts: {
    title: 'キーボードショートカット',
    names: { newChat: '新しいチャット', search: 'チャットを検索', focus: 'メッセージを書く', stop: '回答を停止', copy: '最後の回答をコピー', model: 'モデルを切り替え', edit: '最後のメッセージを編集（空の欄で）', settings: '設定', help: 'この一覧', send: '送信', line: '改行', sidebar: 'チャット一覧の表示切替', palette: 'コマンド' },
  },
};
