// What the audit trail calls things, as people read it. Reads are told apart: the history leaves them out at first.

import type { Language } from "../data";

const ACTIONS: Record<string, Record<Language, string>> = {
  "case.received": { en: "received", zh: "接收" },
  "case.received_again": { en: "sent again", zh: "重复发送" },
  "case.opened": { en: "opened", zh: "打开" },
  "case.released": { en: "given back", zh: "交还" },
  "case.ai_shown": { en: "AI draft shown", zh: "显示 AI 草稿" },
  "case.side_confirmed": { en: "side confirmed", zh: "核实左右" },
  "case.text_suggested": { en: "text suggested", zh: "生成建议文本" },
  "case.reported": { en: "signed as reporting physician", zh: "报告医师签名" },
  "case.signed": { en: "signed", zh: "签发" },
  "case.returned": { en: "returned", zh: "退回" },
  "case.rejected": { en: "rejected", zh: "作废" },
  "case.withdrawn": { en: "withdrawn", zh: "撤回报告" },
  "case.amended": { en: "opened for amendment", zh: "开始修订" },
  "draft.made": { en: "draft made", zh: "草稿已生成" },
  "draft.asked_again": { en: "another draft asked for", zh: "要求重新生成" },
  "draft.not_needed": { en: "draft not needed", zh: "无须草稿" },
  "job.failed": { en: "job failed, tried again", zh: "任务失败，重试" },
  "job.dead": { en: "job given up", zh: "任务放弃" },
  "ruling.made": { en: "decision", zh: "裁定" },
  "ruling.taken_back": { en: "decision taken back", zh: "撤回裁定" },
  "text.saved": { en: "text saved", zh: "保存文本" },
  "critical.opened": { en: "critical finding: record opened", zh: "危急值：建立记录" },
  "critical.called": { en: "critical finding: called", zh: "危急值：已通报" },
  "critical.completed": { en: "critical finding: call complete", zh: "危急值：通报完成" },
  "critical.withdrawn": { en: "critical finding: record withdrawn", zh: "危急值：撤回记录" },
  "export.queued": { en: "export queued", zh: "导出排队" },
  "export.made": { en: "export made", zh: "生成导出" },
  "export.sent": { en: "export sent", zh: "导出已发送" },
  "export.downloaded": { en: "export downloaded", zh: "下载导出" },
  "incident.reported": { en: "incident reported", zh: "报告不良事件" },
  "case.read": { en: "read", zh: "查看" },
  "case.list": { en: "worklist read", zh: "查看工作列表" },
  "case.checked": { en: "checked for signing", zh: "签发检查" },
  "case.frame_read": { en: "film read", zh: "查看影像" },
  "case.map_read": { en: "map read", zh: "查看图" },
  "case.maps_listed": { en: "maps listed", zh: "查看图列表" },
  "case.page_read": { en: "explanation read", zh: "查看解释" },
  "case.history_read": { en: "history read", zh: "查看历史" },
  "export.list": { en: "exports listed", zh: "查看导出列表" },
  "critical.list": { en: "critical records listed", zh: "查看危急值列表" },
  "user.added": { en: "account added", zh: "新增账号" },
  "user.changed": { en: "account changed", zh: "修改账号" },
  "user.list": { en: "accounts listed", zh: "查看账号" },
  "user.linked": { en: "account linked", zh: "关联账号" },
  "user.password_changed": { en: "password changed", zh: "修改密码" },
  "session.confirmed": { en: "password confirmed", zh: "确认密码" },
  "token.made": { en: "token made", zh: "生成令牌" },
  "token.revoked": { en: "token revoked", zh: "吊销令牌" },
  "token.list": { en: "tokens listed", zh: "查看令牌" },
  "switch.changed": { en: "switch changed", zh: "更改开关" },
  "destination.added": { en: "destination added", zh: "新增目的地" },
  "destination.deleted": { en: "destination removed", zh: "删除目的地" },
  "performance.read": { en: "performance read", zh: "查看性能" },
  "incident.list": { en: "incidents read", zh: "查看不良事件" },
  "audit.read": { en: "audit read", zh: "查看审计" },
  "audit.checkpoint": { en: "audit checkpoint", zh: "审计检查点" },
  "audit.restored": { en: "restore confirmed", zh: "确认恢复" },
  "system.start": { en: "server started", zh: "服务启动" },
  "system.stop": { en: "server stopped", zh: "服务停止" },
};

export function actionName(action: string, language: Language): string {
  return ACTIONS[action]?.[language] ?? action.replaceAll(/[._]/g, " ");
}

export function isRead(action: string): boolean {
  return /(_read|\.read|_listed|\.list|\.checked|text_suggested)$/.test(action);
}
