/** Japanese. */
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
    setUp: '実際のモデルを使うには、ゲートウェイにキーを設定してください',
   
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
    asText: 'テキストとして送る', wordless: (name) => `${name}には読み取れる文字がありません。スキャン画像かもしれません。`, unkept: 'このブラウザーは添付を保存しません。再読み込みすると失われます。',
   
    cannot: (model, kinds) => `${model}は${kinds}を受け取れません。`, switchTo: (model) => `${model}を使う`, kinds: { image: '画像', audio: '音声', file: 'PDFなどのファイル', text: 'テキスト' },
    unreadable: (name) => `${name}は読める形式（画像、テキスト、PDF、Word、WAV、MP3）ではありません。`, tooBig: (name, limit) => `${name}は${limit}を超えています。`, image: '添付画像', audio: '添付音声', file: '添付ファイル',
  },
  models: {
    favourites: 'お気に入り', recent: '最近使ったモデル', love: (id) => `${id}をお気に入りに追加`, unlove: (id) => `${id}をお気に入りから外す`, choose: 'モデル', search: 'モデルを検索', none: '該当するモデルがありません。',
    aliases: '別名', modes: 'モード', loading: 'モデルを読み込み中', vision: '画像を見る', audio: '音声を聞く', files: 'ファイルを読む', tools: 'ツールを呼ぶ', reasoning: '推論する',
    context: (n) => `コンテキスト ${n}`, price: (input, output) => `100万トークンあたり入力${input}、出力${output}`, free: '無料', stands: (targets) => `${targets}の別名`, failed: 'モデル一覧を読み込めませんでした。',
  },
  answer: {
    remoteImage: (alt, url) => `読み込んでいない画像${alt ? `（${alt}）` : ''}: ${url || 'アドレスなし'}`, image: '生成された画像', saveImage: '画像を保存', sound: '生成された音声', omitted: (size) => `${size}のデータは大きすぎて保存できませんでした。`, unconfirmed: '停止を確認するためにゲートウェイへ接続できませんでした。', task: 'タスク', note: (name) => `脚注${name}`, alerts: { note: '注記', tip: 'ヒント', important: '重要', warning: '警告', caution: '注意' },
   
    wrap: '折り返す', fold: '折りたたむ', download: 'ダウンロード', csv: 'CSVでダウンロード', preview: 'プレビュー', previewTitle: 'ネットワークなしのプレビュー', diagram: '図', diagramSource: 'ソース', copySvg: 'SVGをコピー', copyPng: 'PNGをコピー', diagramFailed: (why) => `この図を描画できませんでした${why ? `: ${why}` : '。'}`, diagramUnloaded: '描画に必要なファイルを読み込めませんでした。', diagramLate: '描画に時間がかかりすぎました。', you: 'あなた', model: '回答', code: 'コード', table: '表', sources: '出典', tool: 'ツール呼び出し',
    thinking: '推論', thought: (time) => `${time}考えました`, stopped: '停止しました。', closed: (time) => `モデルへの接続は${time}で閉じられました。`, lost: '回答中にゲートウェイが終了しました。保存されていた内容です。',
    length: '回答が長さの上限に達しました。', filtered: 'プロバイダーが残りを表示しませんでした。', jump: '最新の言葉へ', compare: '一つの質問への回答', goesOn: 'この回答から続きます', finished: '回答が完了しました。', starts: '回答中。',
  },
  phase: {
    retrying: (provider, wait, code) => `${wait < 1 ? '' : `${Math.round(wait)}秒後に`}${provider}で再試行${code ? `（${code}のため）` : ''}`, again: (provider, model, attempt) => `${provider}${model ? ` · ${model}` : ''}で再試行中（${attempt}回目）`, stored: 'ライブ配信はもう保持されていません。回答は続いており、ゲートウェイの保存内容を表示します', cut: '接続が切れました。回答は続いています。再接続中です',
    asking: 'ゲートウェイに問い合わせ中', resuming: '続きを取得中', streaming: '最初の言葉を待っています', queued: (position) => `待ち順 ${position}`, connecting: (provider, model) => `${provider}${model ? ` · ${model}` : ''}に接続中` },
  truth: {
    failover: (codes) => `${codes}の後`, via: '経由',
    label: 'この回答について', first: '最初のトークン', speed: 'トークン/秒', tokensIn: '入力', tokensOut: '出力', reasoning: '推論', cached: 'キャッシュ', attempts: (n) => `${n}回試行`, copyId: 'リクエストIDをコピー', idCopied: 'リクエストIDをコピーしました', cost: '費用' },
  problems: {
    next: { model_not_found: '別のモデルを選んでください。一覧にこのゲートウェイのモデルがあります。', invalid_api_key: 'キーが拒否されました。別のキーを入力するか、ゲートウェイの環境にプロバイダーのキーを設定してください。', rate_limit_exceeded: 'プロバイダーが待機を求めています。少し待って再試行するか、別のモデルを選んでください。', context_length_exceeded: 'このモデルには会話が長すぎます。新しいチャットを始めるか、コンテキストの大きいモデルを選んでください。', insufficient_quota: 'プロバイダーの残高がありません。補充するか、別のモデルを選んでください。', upstream_timeout: 'プロバイダーの応答が遅すぎました。再試行するか、別のモデルを選んでください。', upstream_unreachable: 'プロバイダーに接続できません。動作していることと、設定のアドレスが正しいことを確認してください。', not_found: '削除された可能性があります。ほかのチャットは一覧にあります。', unreachable: 'ゲートウェイが応答しません。動作を確認してから再試行してください。入力した内容は保存されています。', other: '再試行するか、別のモデルを選んでください。' },
    title: 'うまくいきませんでした', unreachable: 'ゲートウェイに接続できません。', unknown: '問題が発生しました。' },
  key: { title: 'このゲートウェイにはキーが必要です', text: '管理者に尋ねるか、設定の [[server.keys]] を確認してください。', label: 'キー', remember: 'この端末に保存', use: 'このキーを使う', wrong: 'ゲートウェイがこのキーを拒否しました。' },
  settings: {
    notifyRefused: 'このブラウザーではここで通知が許可されていません。', languageHelp: 'ページを再読み込みします。', where: (dir) => `チャットはゲートウェイの${dir}に保存されます。この設定はこのブラウザーに保存されます。`, nowhere: 'チャットはゲートウェイに保存されます。この設定はこのブラウザーに保存されます。', importHelp: 'このゲートウェイ、ChatGPT、Claude、Open WebUI、llms.pyの書き出しを、JSONまたはZIPで読み込めます。', unknownExport: 'このファイルは既知のチャットの書き出しではありません。',
   
    title: '設定', answers: '回答', look: '表示', data: 'データ', notify: '回答が終わったら知らせる', notifyHelp: '他のものを見ている間のブラウザー通知です。チャットの名前だけで、内容は含みません。', stream: '書かれる途中の回答を表示', streamHelp: 'オフ: 完成してから表示します。',
    preset: 'プリセット', noPreset: 'なし', savePreset: 'プリセットとして保存', deletePreset: 'プリセットを削除', presetName: 'プリセットの名前', system: 'システムプロンプト', systemHelp: '新しいチャットの前に送られます。', systemHelpThis: 'このチャットの前に送られます。',
    scope: '適用先', thisChat: 'このチャット', newChats: '新しいチャット', temperature: '温度', maxTokens: '回答の最大トークン数', effort: '推論の強さ', byModel: 'モデルの既定値', efforts: { minimal: '最小', low: '低', medium: '中', high: '高' },
    theme: 'テーマ', themes: { system: 'システム', light: 'ライト', dark: 'ダーク' }, size: '文字の大きさ', sizes: { small: '小', medium: '中', large: '大' }, language: '言語', exportAll: 'すべてのチャットを書き出す', import: 'チャットを取り込む', imported: (n) => `${n}件のチャットを取り込みました。`, leftOut: (kinds) => `書き出しに含まれないか、ここに置き場所がないもの：${kinds}。`,
    kinds: { image: '画像', audio: '音声', file: 'ファイル', system: 'システムメッセージ', hidden: '非表示のメッセージ', message: 'メッセージ', chat: '空のチャット' },
    deleteAll: 'すべてのチャットを削除', deleteSure: '完全に削除する', deleteWarn: '元に戻せません。', deletedAll: 'すべてのチャットを削除しました。', forgetKey: 'キーを忘れる', keyForgotten: 'キーを忘れました。',
  },
  activity: {
    none: 'リクエストはまだありません。誰かが質問するとここに表示されます。', ttft: '最初のトークンまでの時間', speed: '毎秒のトークン数', errors: 'リクエストとエラー', tokens: 'トークン', ms: 'ミリ秒', cancelled: '停止', tokensIn: '入力', tokensOut: '出力', stopped: '停止', errorRate: 'エラー率', cancelTime: '停止にかかった時間 (P95)', latency: '回答全体 (P50)', states: { running: '実行中', completed: '完了', cancelled: '停止', failed: '失敗' }, phases: { queued: '待機列', connecting: '接続中', waiting: '応答待ち', streaming: '受信中', backing_off: '再試行待ち', finishing: '終了処理中' },
   
    title: 'アクティビティ', running: '実行中', recent: '最近のリクエスト', numbers: 'モデル別', plots: '推移', idle: '現在実行中のものはありません。', window: '期間', windows: { hour: '時間', day: '日', week: '週' }, requests: 'リクエスト', failed: 'エラー',
    model: 'モデル', provider: 'プロバイダー', state: '状態', age: '経過', started: '開始', duration: '所要時間', cost: '費用',
  },
  flight: {
    gone: 'このリクエストの時間はもうゲートウェイに残っていません。', kinds: { connecting: '接続', sent: '応答待ち', first: '最初のトークン', answer: '回答', gap: '無音', wait: 'ゲートウェイでの待機' }, why: { first: '最初の試行', retry: '再試行', failover: 'フェイルオーバー', hedge: '並行試行', part: '部分' }, waits: { queue: '待機列', backoff: '休止', budget: '予算' }, states: { stopped: '停止', lost_race: '追い越された', open: '実行中', opening: '実行中' }, after: (code) => `${code}の後`, sent: (bytes) => `送信${bytes}`, received: (bytes) => `受信${bytes}`, reused: '接続を再利用', gaps: (n, time) => `無音${n}回、合計${time}`, leftOut: (n) => `途中の${n}回の試行は残っていません。`, whole: (time) => `全体で${time}。`, client: (input, output) => `クライアントから${input}、クライアントへ${output}。`, stopped: (time) => `${time}で停止しました。`, closed: (time) => `その${time}後にプロバイダーとの接続が閉じました。`, nothingSpent: 'どのプロバイダーにも送っていないため、費用はかかっていません。', noLimit: 'リクエストに上限がないため、節約分はわかりません。', saved: (tokens, cost, estimated) => `最大で${estimated ? '約' : ''}${tokens}トークンが生成されずに済みました${cost ? `（最大${cost}相当）` : ''}。`, copyAsOne: (name) => `${name}としてコピー`, copied: (name) => `${name}としてコピーしました`,
    title: 'このリクエストの経過', open: 'このリクエストの時間', copyAs: '次の形式でコピー:' },
  shortcuts: {
    title: 'キーボードショートカット',
    names: { newChat: '新しいチャット', search: 'チャットを検索', focus: 'メッセージを書く', stop: '回答を停止', copy: '最後の回答をコピー', model: 'モデルを切り替え', edit: '最後のメッセージを編集（空の欄で）', settings: '設定', help: 'この一覧', send: '送信', line: '改行', sidebar: 'チャット一覧の表示切替', palette: 'コマンド' },
  },
  accounts: {
    title: '予算と使用量', usage: '使用量', noBudget: 'ここでの支出を制限する予算はありません。', by: '使用量の区分', ways: { key: 'キー', model: 'モデル', day: '日' }, unpriced: '価格不明', perDay: '1日の支出', dearest: '費用の多い順', budget: (key, account, window) => (account === `key:${key}` ? `${key}、${window}` : `${key}（${account}）、${window}`), left: (left, limit) => `${limit}のうち残り${left}`,
  },
  keys: {
    title: 'キー', groups: 'グループ', newKey: '新しいキー', newGroup: '新しいグループ', none: 'キーはありません。', open: 'まだ誰にもキーは要りません。最初のキーを作るとゲートウェイが閉じ、以後は全員にキーが必要です。', first: 'これが最初のキーです。以後はあなたを含む全員にキーが必要です。このページはこのキーを使います。', name: '名前', budget: '予算（ドル）', budgetHelp: '20/month、2/day、50/totalなど。空欄なら制限なし。', any: '任意', counts: { rpm: '毎分のリクエスト数', tpm: '毎分のトークン数', max_parallel: '同時リクエスト数' }, models: 'モデル', modelsHelp: '名前またはパターンをコンマで区切ります。例: fast, openai/*。', group: 'グループ', noGroup: 'なし', expires: '有効期限', admin: '管理者', adminHelp: '管理者: 全員のリクエストを見て停止でき、キーを管理できます', create: '作成', change: '制限を変更', changeOf: (name) => `${name}の制限`, rotate: '新しいシークレット', revoke: '無効化', remove: '削除', actionsFor: (name) => `${name}の操作`, rotateOf: (name) => `${name}の新しいシークレット`, rotateWarn: '古いシークレットはあと1日使えます。', revokeOf: (name) => `${name}を無効にしますか？`, revokeWarn: '実行中のリクエストは停止されます。以後は受け付けられず、この名前は再利用できません。', removeOf: (name) => `グループ${name}を削除しますか？`, removeWarn: 'キーが残っていてはなりません。支出はこの名前で記録に残ります。', secret: 'シークレット', secretOf: (name) => `${name}のシークレット`, once: '今すぐコピーしてください。表示されるのは今回だけです。', revoked: '無効', inConfig: '設定ファイルのキー', revokedOnes: (n) => `無効なキー${n}件を表示`, inGroup: (name) => `グループ${name}`, members: (n) => `キー${n}件`, noLimits: '制限なし', spent: '支出', rpm: (n) => `毎分${n}リクエスト`, tpm: (n) => `毎分${n}トークン`, parallel: (n) => `同時${n}件`, until: (day) => `${day}まで`, requests: (n) => `リクエスト${n}件`, budgetOf: (spent, limit, window) => `${limit}のうち${spent}、${window}`,
  },
};
